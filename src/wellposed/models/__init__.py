"""f: networks. Every public class here can be named in a recipe."""

from wellposed.models._all_cnn import AllCNN as AllCNN
from wellposed.models._lenet import LeNet as LeNet
from wellposed.models._lenet_wide import LeNetWide as LeNetWide
from wellposed.models._linear import Linear as Linear
from wellposed.models._mlp import MLP as MLP
from wellposed.models._resnet import ResNet as ResNet
from wellposed.models._row_lstm import RowLSTM as RowLSTM
from wellposed.models._small_cnn import SmallCNN as SmallCNN
from wellposed.models._strided_cnn import StridedCNN as StridedCNN
from wellposed.models._whitened_cnn import WhitenedCNN as WhitenedCNN
