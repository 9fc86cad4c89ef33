from wellposed.train._numbers import named_numbers


def test_names_are_grouped_by_part_and_what_is_no_number_is_left_out():
    train = {
        "event": "train",
        "step": 3,
        "objective": 0.5,
        "error": None,
        "gradients": 7,
        "optimizer": {"gamma": 0.1, "phase": "inner", "on": True},
    }
    assert named_numbers(train) == {
        "train/objective": 0.5,
        "train/gradients": 7.0,
        "train/optimizer/gamma": 0.1,
    }
    evaluation = {"event": "evaluation", "split": "validation", "step": 3, "n": 9, "error": 0.1}
    assert named_numbers(evaluation) == {"validation/error": 0.1}
