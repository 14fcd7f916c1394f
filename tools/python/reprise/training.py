"""Training: rp_finetune and rp_pretrain."""
from __future__ import annotations

from ctypes import byref
from typing import Any, Callable, Dict, List, Optional, Union

from ._native import Call, api, check, lib, params
from .models import Device, _device

Told = Callable[[Dict[str, float]], Any]


def _metrics(array: Any, count: int) -> Dict[str, float]:
    return {metric.name.decode(): metric.value for metric in (array[:count] if count else [])}


def _handler(call: Call, on_step: Optional[Told], on_evaluation: Optional[Told]) -> Any:
    """An api.rp_training_handler. What a callback raises ends the training and is raised."""
    types = dict(api.rp_training_handler._fields_)
    names = ("step", "steps", "epoch", "loss", "grad_norm", "learning_rate", "seconds", "sequences", "tokens")

    def step(user: Any, told: Any) -> None:
        if on_step is not None:
            s = told.contents
            call._guard(on_step, {**{n: getattr(s, n) for n in names}, **_metrics(s.metrics, s.metric_count)})

    def evaluated(user: Any, last: Any, metrics: Any, count: int, best: bool) -> None:
        if on_evaluation is not None:
            call._guard(on_evaluation, {"step": last.contents.step, "best": best, **_metrics(metrics, count)})

    made = api.rp_training_handler()
    made.step, made.evaluated = types["step"](step), types["evaluated"](evaluated)
    return made


def _train(function: Any, struct: str, device: Union[Device, str, int, None], call: Optional[Call],
           on_step: Optional[Told], on_evaluation: Optional[Told], arguments: Dict[str, Any]) -> None:
    opened = device if isinstance(device, Device) else _device(device)
    call = call or Call()
    handler = _handler(call, on_step, on_evaluation)
    keep: List[Any] = []
    p = params(struct, keep, {**arguments, "call": call.struct, "handler": handler})
    error = api.rp_error()
    with opened._handle as pointer:
        status = function(pointer, byref(p), byref(error))
    call.raise_trouble()
    check(status, error)


def finetune(*, device: Union[Device, str, int, None] = None, call: Optional[Call] = None,
             on_step: Optional[Told] = None, on_evaluation: Optional[Told] = None, **arguments: Any) -> None:
    """Teach a model by labelled data, as `reprise finetune`. Arguments are the fields of rp_finetune_params:
    model, train, dev, out, task="classify", epochs, learning_rate, ... `on_step` and `on_evaluation` get dicts
    of the numbers that --log has."""
    _train(lib.rp_finetune, "rp_finetune_params", device, call, on_step, on_evaluation, arguments)


def pretrain(*, device: Union[Device, str, int, None] = None, call: Optional[Call] = None,
             on_step: Optional[Told] = None, on_evaluation: Optional[Told] = None, **arguments: Any) -> None:
    """Teach a model by plain text, as `reprise pretrain`. Arguments are the fields of rp_pretrain_params:
    corpus=[...], tokenizer, config, out, steps, ..."""
    _train(lib.rp_pretrain, "rp_pretrain_params", device, call, on_step, on_evaluation, arguments)


__all__ = ["finetune", "pretrain"]
