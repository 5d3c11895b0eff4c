"""The position in training that a checkpoint continues from.

Lightning stores counters of started and finished epochs and batches. Depending on the hook that wrote the checkpoint,
it continues with the next epoch although the current one is unfinished, skips an evaluation, or does not call
`on_train_epoch_start`. `set_position` therefore rewrites the counters, so that every checkpoint continues exactly where
it was written.
"""

from typing import Any, NamedTuple


class Position(NamedTuple):
    """A position in training.

    Args:
        epochs: Number of completed epochs.
        batches: Number of batches done in the next epoch.
        evaluation_pending: Whether an evaluation that is due after the last batch had not taken place.
    """

    epochs: int
    batches: int
    evaluation_pending: bool


START = Position(0, 0, evaluation_pending=False)


def find_position(checkpoint: dict[str, Any]) -> Position:
    """Return the position in training at which a checkpoint was written.

    An epoch that `max_steps`, `max_time` or a callback ended early is not completed.

    Args:
        checkpoint: Contents of a checkpoint of Lightning.
    """
    if "loops" not in checkpoint:  # written without the state of training
        return START
    loop = checkpoint["loops"]["fit_loop"]
    epochs, batches = loop["epoch_progress"]["current"], loop["epoch_loop.batch_progress"]
    # After a checkpoint within an epoch was resumed, Lightning's count of ready epochs is one too low.
    begun, ended = max(epochs["ready"], epochs["started"]), epochs["processed"]
    if begun == 0 or (ended == begun and batches["is_last_batch"]):
        return Position(begun, 0, evaluation_pending=False)
    done = batches["current"]["processed"]
    # `on_train_batch_end` is called before the batch is counted as completed, and before the evaluation that follows.
    return Position(begun - 1, done, evaluation_pending=batches["current"]["completed"] < done)


def set_position(checkpoint: dict[str, Any], is_step_based: bool, accumulate_grad_batches: int = 1) -> None:
    """Rewrite the counters in a checkpoint so that Lightning continues at the position returned by `find_position`.

    Within an epoch, Lightning then calls `on_train_epoch_start` and continues with the next batch. An evaluation that
    is due after the last batch, and had not begun, is run first.

    Args:
        checkpoint: Contents of a checkpoint of Lightning; its loop state is changed in place.
        is_step_based: Whether the continued run is limited by `max_steps`. Lightning then treats it as interrupted even
            at the end of an epoch.
        accumulate_grad_batches: Number of batches per optimizer step, above 0.
    """
    epochs, batches, evaluation_pending = find_position(checkpoint)
    loop = checkpoint["loops"]["fit_loop"]
    progress = loop["epoch_loop.batch_progress"]
    last, total = bool(batches) and progress["is_last_batch"], progress["total"]["ready"]
    for counts in loop["epoch_progress"].values():
        counts.update(ready=epochs + (batches > 0), started=epochs, processed=epochs, completed=epochs)
    progress["current"].update(ready=batches, started=batches, processed=batches, completed=batches)
    # With fewer started than ready batches, Lightning does not assume that an evaluation is to be skipped or repeated.
    fewer = max(total - 1, 0)
    progress["total"].update(ready=total, started=fewer, processed=fewer, completed=fewer)
    progress["is_last_batch"] = last
    # Lightning runs an evaluation that was interrupted in its first batch.
    evaluated = loop["epoch_loop.val_loop.batch_progress"]
    evaluated["current"].update(ready=0, started=0, processed=0, completed=0)
    begun = int(evaluation_pending)
    evaluated["total"].update(ready=begun, started=begun, processed=0, completed=0)
    # Lightning adds 1 when it continues an interrupted epoch, unless gradients are being accumulated.
    interrupted = (batches > 0 or is_step_based) and (last or batches % accumulate_grad_batches == 0)
    loop["epoch_loop.state_dict"]["_batches_that_stepped"] = checkpoint["global_step"] - interrupted
    if "combined_loader" in loop["state_dict"]:
        loop["state_dict"]["combined_loader"] = [{"first_batch": batches, "is_finished": last}]
