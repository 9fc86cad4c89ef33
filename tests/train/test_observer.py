from wellposed.train import MLflow, Observer, ProgressBar, ProgressJson, ProgressLines, TensorBoard


def test_each_observer_of_ours_is_one(make_watch):
    for kind in (ProgressBar, ProgressLines, ProgressJson):
        assert isinstance(kind(), Observer)
    assert isinstance(make_watch(), Observer)
    assert issubclass(TensorBoard, Observer)
    assert issubclass(MLflow, Observer)
    assert not isinstance(object(), Observer)
