"""Where the optimizers of torch come from: BibTeX by class name."""

from collections.abc import Mapping
from types import MappingProxyType

_ADAM = """\
@inproceedings{kingma2015adam,
  author    = {Kingma, Diederik P. and Ba, Jimmy},
  title     = {Adam: A Method for Stochastic Optimization},
  booktitle = {International Conference on Learning Representations},
  year      = {2015},
  note      = {arXiv:1412.6980}
}"""

CITATIONS: Mapping[str, str] = MappingProxyType(
    {
        "ASGD": """\
@article{polyak1992acceleration,
  author  = {Polyak, Boris T. and Juditsky, Anatoli B.},
  title   = {Acceleration of Stochastic Approximation by Averaging},
  journal = {SIAM Journal on Control and Optimization},
  volume  = {30},
  number  = {4},
  pages   = {838--855},
  year    = {1992}
}""",
        "Adadelta": """\
@misc{zeiler2012adadelta,
  author = {Zeiler, Matthew D.},
  title  = {{ADADELTA}: An Adaptive Learning Rate Method},
  year   = {2012},
  note   = {arXiv:1212.5701}
}""",
        "Adafactor": """\
@inproceedings{shazeer2018adafactor,
  author    = {Shazeer, Noam and Stern, Mitchell},
  title     = {Adafactor: Adaptive Learning Rates with Sublinear Memory Cost},
  booktitle = {International Conference on Machine Learning},
  year      = {2018},
  note      = {arXiv:1804.04235}
}""",
        "Adagrad": """\
@article{duchi2011adaptive,
  author  = {Duchi, John and Hazan, Elad and Singer, Yoram},
  title   = {Adaptive Subgradient Methods for Online Learning and Stochastic Optimization},
  journal = {Journal of Machine Learning Research},
  volume  = {12},
  pages   = {2121--2159},
  year    = {2011}
}""",
        "Adam": _ADAM,
        "AdamW": """\
@inproceedings{loshchilov2019decoupled,
  author    = {Loshchilov, Ilya and Hutter, Frank},
  title     = {Decoupled Weight Decay Regularization},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  note      = {arXiv:1711.05101}
}""",
        "Adamax": _ADAM,
        "LBFGS": """\
@article{liu1989limited,
  author  = {Liu, Dong C. and Nocedal, Jorge},
  title   = {On the Limited Memory {BFGS} Method for Large Scale Optimization},
  journal = {Mathematical Programming},
  volume  = {45},
  pages   = {503--528},
  year    = {1989}
}""",
        "Muon": """\
@misc{jordan2024muon,
  author = {Jordan, Keller and Jin, Yuchen and Boza, Vlado and You, Jiacheng and Cesista, Franz and
            Newhouse, Laker and Bernstein, Jeremy},
  title  = {Muon: An Optimizer for Hidden Layers in Neural Networks},
  year   = {2024},
  url    = {https://kellerjordan.github.io/posts/muon/}
}""",
        "NAdam": """\
@inproceedings{dozat2016incorporating,
  author    = {Dozat, Timothy},
  title     = {Incorporating {Nesterov} Momentum into {Adam}},
  booktitle = {International Conference on Learning Representations, Workshop Track},
  year      = {2016}
}""",
        "RAdam": """\
@inproceedings{liu2020variance,
  author    = {Liu, Liyuan and Jiang, Haoming and He, Pengcheng and Chen, Weizhu and Liu, Xiaodong
               and Gao, Jianfeng and Han, Jiawei},
  title     = {On the Variance of the Adaptive Learning Rate and Beyond},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  note      = {arXiv:1908.03265}
}""",
        "RMSprop": """\
@misc{tieleman2012lecture,
  author       = {Tieleman, Tijmen and Hinton, Geoffrey},
  title        = {Lecture 6.5, {RMSProp}: Divide the Gradient by a Running Average of Its Recent
                  Magnitude},
  howpublished = {COURSERA: Neural Networks for Machine Learning},
  year         = {2012}
}""",
        "Rprop": """\
@inproceedings{riedmiller1993direct,
  author    = {Riedmiller, Martin and Braun, Heinrich},
  title     = {A Direct Adaptive Method for Faster Backpropagation Learning: The {RPROP}
               Algorithm},
  booktitle = {IEEE International Conference on Neural Networks},
  pages     = {586--591},
  year      = {1993}
}""",
        "SGD": """\
@article{robbins1951stochastic,
  author  = {Robbins, Herbert and Monro, Sutton},
  title   = {A Stochastic Approximation Method},
  journal = {The Annals of Mathematical Statistics},
  volume  = {22},
  number  = {3},
  pages   = {400--407},
  year    = {1951}
}

@inproceedings{sutskever2013importance,
  author    = {Sutskever, Ilya and Martens, James and Dahl, George and Hinton, Geoffrey},
  title     = {On the Importance of Initialization and Momentum in Deep Learning},
  booktitle = {International Conference on Machine Learning},
  year      = {2013}
}""",
        "SparseAdam": _ADAM,
    }
)
