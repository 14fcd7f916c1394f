"""pipeline(): the answers of transformers' pipelines (4.44.2), by Reprise.

A script that calls `transformers.pipeline` with a folder or the name of a model changes its import and nothing
else. Differences: an argument that is not served is a TypeError that names it; a model of one label gives the raw
value, where 4.44.2 puts a sigmoid over regressions too; scores are equal to 1e-5, not in every bit."""
from __future__ import annotations

import collections.abc
import os
import types
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from ._native import Error
from .models import Device, Model, Tokenizer, convert

_IGNORED = ("framework", "torch_dtype", "num_workers", "use_fast", "trust_remote_code", "revision", "token",
            "model_kwargs", "device_map", "config", "feature_extractor", "image_processor", "use_auth_token",
            "local_files_only", "binary_output")


def _refuse(arguments: Dict[str, Any], task: str) -> None:
    for name in arguments:
        raise TypeError(f"{task}: the argument '{name}' is not served by reprise.pipeline")


class Pipeline:
    """What pipeline() returns. Calling it with one input gives one answer, with a list a list, with a generator
    or another iterable a generator that reads as it goes."""

    task = ""
    bundled: Optional[str] = None

    def __init__(self, model: Model, batch_size: Optional[int], arguments: Dict[str, Any]):
        self.model, self._batch = model, batch_size
        self.sanitize(arguments)  # a wrong one is an error here, not at the first call
        self._defaults = arguments

    @property
    def tokenizer(self) -> Tokenizer:
        """Has mask_token and what else scripts ask of it."""
        return self.model.tokenizer

    @property
    def device(self) -> Device:
        return self.model.device

    def save_pretrained(self, save_directory: str, **_: Any) -> None:
        """Write the model and its tokenizer, as Hugging Face's libraries read them."""
        convert(self.model.info["dir"], save_directory)

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        """Keyword arguments as run() takes them. A TypeError names one that is not served."""
        raise NotImplementedError

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        """The answers to some inputs."""
        raise NotImplementedError

    def __call__(self, inputs: Any, *, batch_size: Optional[int] = None, num_workers: Optional[int] = None,
                 **given: Any) -> Any:
        options = self.sanitize({**self._defaults, **given})
        if isinstance(inputs, list):
            return self.run(inputs, options)
        if self._streams(inputs):
            return self._stream(inputs, batch_size or self._batch or 32, options)
        return self.run([inputs], options)[0]

    def _streams(self, inputs: Any) -> bool:
        single = (str, bytes, dict, tuple)
        return isinstance(inputs, types.GeneratorType) or (
            isinstance(inputs, collections.abc.Iterable) and not isinstance(inputs, single)
            or hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__") and not isinstance(inputs, single))

    def _stream(self, inputs: Iterable[Any], size: int, options: Dict[str, Any]) -> Iterator[Any]:
        batch: List[Any] = []
        if not hasattr(inputs, "__iter__"):  # such as a data set of PyTorch, which need not say where it ends
            rows: Any = inputs
            inputs = (rows[i] for i in range(len(rows)))
        for item in inputs:
            batch.append(item)
            if len(batch) >= size:
                yield from self.run(batch, options)
                batch = []
        if batch:
            yield from self.run(batch, options)

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.model, self._batch, self._defaults)


def _length(given: Dict[str, Any], model: Model) -> None:
    """Take out truncation, padding and max_length, where they say what Reprise does anyway: a text is cut that is
    longer than the model takes."""
    for name in ("truncation", "padding"):
        given.pop(name, None)
    longest = given.get("max_length")
    if longest is None or longest >= model.info["max_tokens"]:
        given.pop("max_length", None)
    else:
        raise TypeError("the argument 'max_length' is not served below what the model takes, "
                        f"{model.info['max_tokens']} tokens")


class TextClassification(Pipeline):
    task, bundled = "text-classification", "sentiment"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _length(given, self.model)
        options: Dict[str, Any] = {"legacy": True, "top_k": 1}
        every = given.pop("return_all_scores", None)
        if every is not None:
            options["top_k"] = None if every else 1
        top = given.pop("top_k", "")
        if isinstance(top, int) or top is None:
            options.update(top_k=top, legacy=False)
        apply = given.pop("function_to_apply", None)
        usual = "sigmoid" if self.model.info["problem"] == "multi_label" else "softmax"
        usual = "none" if self.model.info["problem"] == "regression" else usual
        if apply is not None and str(apply).lower() not in (usual, "default"):
            raise TypeError(f"text-classification: the argument 'function_to_apply' is not served but as '{usual}'")
        _refuse(given, self.task)
        return options

    def __call__(self, inputs: Any, **given: Any) -> Any:
        answer = super().__call__(inputs, **given)
        return [answer] if isinstance(inputs, str) and "top_k" not in given else answer

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        pairs = []
        for item in items:
            if isinstance(item, dict):
                extra = dict(item)
                pairs.append((extra.pop("text"), extra.pop("text_pair", None)))
                _refuse(extra, self.task)
            elif isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
                pairs.append((item[0][0], item[0][1]))
            elif isinstance(item, str):
                pairs.append((item, None))
            else:
                raise ValueError('the pipeline takes texts; a text pair is {"text": "My text", "text_pair": '
                                 '"My pair"}')
        top, legacy = options["top_k"], options["legacy"]
        answers = self.model.classify(pairs, top_k=top or 0)
        if legacy and top == 1:
            return [answer[0] for answer in answers]
        if legacy:  # in the order of the labels
            order = {label: place for place, label in enumerate(self.model.labels)}
            return [sorted(answer, key=lambda entry: order.get(str(entry["label"]), 0)) for answer in answers]
        return answers


class TokenClassification(Pipeline):
    task = "token-classification"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        grouped, subwords = given.pop("grouped_entities", None), given.pop("ignore_subwords", None)
        strategy = given.pop("aggregation_strategy", None)
        if grouped is not None or subwords is not None:
            strategy = "none" if not grouped else "first" if subwords else "simple"
        strategy = str(getattr(strategy, "value", strategy) or "none").lower()
        ignored = given.pop("ignore_labels", None)
        if ignored is not None and "O" not in ignored:
            raise TypeError("token-classification: the argument 'ignore_labels' is not served without 'O' among them")
        stride = given.pop("stride", None)
        if stride is not None and strategy == "none":
            raise ValueError("`stride` goes with an `aggregation_strategy` other than none")
        _refuse(given, self.task)
        return {"aggregation": strategy, "stride": stride, "cut": stride is None, "ignored": ignored or ()}

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        ignored = options["ignored"]
        answers = self.model.tag(items, **{name: value for name, value in options.items() if name != "ignored"})
        answers = [[e for e in answer if e.get("entity", e.get("entity_group")) not in ignored] for answer in answers]
        try:
            from numpy import float32  # the type that transformers gives here
        except ImportError:
            return answers
        for answer in answers:
            for entity in answer:
                entity["score"] = float32(entity["score"])
        return answers


class QuestionAnswering(Pipeline):
    task = "question-answering"
    _names = {"top_k": "top_k", "doc_stride": "stride", "max_answer_len": "max_answer_tokens",
              "max_seq_len": "max_tokens", "max_question_len": "max_question_tokens",
              "handle_impossible_answer": "allow_no_answer"}

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _length(given, self.model)
        top = given.pop("topk", None)
        if top is not None and given.get("top_k") is None:
            given["top_k"] = top
        if given.pop("align_to_words", None) is False:
            raise TypeError("question-answering: the argument 'align_to_words' is not served but as True")
        for name in ("top_k", "max_answer_len"):
            if given.get(name) is not None and given[name] < 1:
                raise ValueError(f"{name} parameter should be >= 1 (got {given[name]})")
        options = {to: given.pop(name) for name, to in self._names.items() if name in given}
        _refuse(given, self.task)
        return options

    def __call__(self, *args: Any, **given: Any) -> Any:
        inputs: Any = None
        if len(args) == 1:
            inputs = args[0]
        elif len(args) == 2 and all(isinstance(item, str) for item in args):
            inputs = {"question": args[0], "context": args[1]}
        elif args:
            inputs = list(args)
        elif "X" in given or "data" in given:
            inputs = given.pop("X", None) or given.pop("data")
        elif "question" in given and "context" in given:
            question, context = given.pop("question"), given.pop("context")
            if isinstance(question, list):
                contexts = [context] * len(question) if isinstance(context, str) else context
                if len(contexts) != len(question):
                    raise ValueError("Questions and contexts don't have the same lengths")
                inputs = [{"question": q, "context": c} for q, c in zip(question, contexts)]
            else:
                inputs = {"question": question, "context": context}
        else:
            raise ValueError(f"Unknown arguments {given}")
        if isinstance(inputs, (list, tuple)):
            answers = super().__call__(list(inputs), **given)
            return answers[0] if len(answers) == 1 else answers
        return super().__call__(inputs, **given)

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        questions = []
        for item in items:
            if not isinstance(item, dict):
                item = {"question": getattr(item, "question_text", None), "context": getattr(item, "context_text", None)}
            for name in ("question", "context"):
                if name not in item:
                    raise KeyError("You need to provide a dictionary with keys {question:..., context:...}")
                if not item[name]:
                    raise ValueError(f"`{name}` cannot be {'None' if item[name] is None else 'empty'}")
            questions.append((item["question"], item["context"]))
        return self.model.answer(questions, **options)


class FillMask(Pipeline):
    task, bundled = "fill-mask", "pretrained"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        kwargs = dict(given.pop("tokenizer_kwargs", None) or {})
        _length(kwargs, self.model)
        for name in kwargs:
            raise TypeError(f"fill-mask: the argument 'tokenizer_kwargs' is not served with '{name}'")
        options = {"top_k": given.pop("top_k", None), "targets": self._ids(given.pop("targets", None))}
        _refuse(given, self.task)
        return options

    def _ids(self, targets: Union[None, str, List[str]]) -> Optional[List[int]]:
        """The tokens that may fill a mask: each target, or what it begins with."""
        if targets is None:
            return None
        ids: Dict[int, None] = {}
        for target in [targets] if isinstance(targets, str) else targets:
            token = self.tokenizer.vocabulary.get(target)
            if token is None:
                first = self.tokenizer(target, no_special_tokens=True).ids[:1]
                if not first:
                    warnings.warn(f"the target '{target}' is not in the vocabulary, and left out")
                    continue
                token = first[0]
                warnings.warn(f"the target '{target}' is not in the vocabulary; '{self.tokenizer.piece(token)}' is taken")
            ids[token] = None
        if not ids:
            raise ValueError("At least one target must be provided when passed.")
        return list(ids)

    def __call__(self, inputs: Any, **given: Any) -> Any:
        answer = super().__call__(inputs, **given)
        return answer[0] if isinstance(inputs, list) and len(inputs) == 1 else answer

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        targets, top = options["targets"], options["top_k"] or 5
        if targets is None:
            return self.model.fill_mask(items, top_k=top)

        def kept(answer: List[Any]) -> List[Any]:
            if answer and isinstance(answer[0], list):
                return [kept(each) for each in answer]
            return [entry for entry in answer if entry["token"] in targets][:top]

        return [kept(self.model.fill_mask([item], top_k=self.tokenizer.vocab_size)[0]) for item in items]


class FeatureExtraction(Pipeline):
    task, bundled = "feature-extraction", "sentiment"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _length(given, self.model)
        kwargs = dict(given.pop("tokenize_kwargs", None) or {})
        _length(kwargs, self.model)
        for name in kwargs:
            raise TypeError(f"feature-extraction: the argument 'tokenize_kwargs' is not served with '{name}'")
        options = {"tensors": given.pop("return_tensors", False)}
        _refuse(given, self.task)
        return options

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        vectors = self.model.embed(items, pooling="none", prompt="")
        if not options["tensors"]:
            return [[array.tolist()] for array in vectors]
        try:
            import torch
        except ImportError:
            raise TypeError("feature-extraction: the argument 'return_tensors' is not served without PyTorch") from None
        return [torch.tensor(array.tolist()).unsqueeze(0) for array in vectors]


class ZeroShotClassification(Pipeline):
    task = "zero-shot-classification"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _length(given, self.model)
        multi = given.pop("multi_class", None)
        labels = given.pop("candidate_labels", None)
        if isinstance(labels, str):
            labels = [label.strip() for label in labels.split(",") if label.strip()]
        options = {"labels": labels, "hypothesis": given.pop("hypothesis_template", None),
                   "multi_label": bool(given.pop("multi_label", multi))}
        _refuse(given, self.task)
        return options

    def __call__(self, *args: Any, **given: Any) -> Any:
        sequences, *more = args if args else (given.pop("sequences"),)
        if len(more) == 1 and "candidate_labels" not in given:
            given["candidate_labels"] = more[0]
        elif more:
            raise ValueError(f"Unable to understand extra arguments {more}")
        return super().__call__(sequences, **given)

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        if not options["labels"] or not all(items):
            raise ValueError("You must include at least one label and at least one sequence.")
        return [{"sequence": item, "labels": [entry["label"] for entry in answer],
                 "scores": [entry["score"] for entry in answer]}
                for item, answer in zip(items, self.model.zero_shot(items, **options))]


_TASKS: Dict[str, Callable[..., Pipeline]] = {
    "text-classification": TextClassification, "sentiment-analysis": TextClassification,
    "token-classification": TokenClassification, "ner": TokenClassification,
    "question-answering": QuestionAnswering, "fill-mask": FillMask, "feature-extraction": FeatureExtraction,
    "zero-shot-classification": ZeroShotClassification,
}


def pipeline(task: Optional[str] = None, model: Any = None, *, tokenizer: Any = None,
             device: Union[Device, str, int, None] = None, batch_size: Optional[int] = None,
             **arguments: Any) -> Pipeline:
    """The pipeline of a task, over a folder or the name of a model (or a Model).

    `device` is a Device, a part of a device's name, or its number in devices(); 0, -1, "cpu", "cuda" and None mean
    the best one: there is no other way than Vulkan here. Other keyword arguments are those of transformers'
    pipeline of this task."""
    for name in _IGNORED:
        arguments.pop(name, None)
    named = getattr(tokenizer, "name_or_path", tokenizer[0] if isinstance(tokenizer, tuple) else tokenizer)
    if tokenizer is not None and str(named) != str(model):
        raise TypeError("the argument 'tokenizer' is not served: the tokenizer is that of the model's folder")
    if task is None:
        raise TypeError("the argument 'task' is needed: " + ", ".join(_TASKS))
    if task not in _TASKS:
        raise KeyError(f"Unknown task {task}, available tasks are {list(_TASKS)}")
    kind = _TASKS[task]
    if isinstance(device, str) and device.split(":")[0] in ("cpu", "cuda", "mps", "xpu") or device in (-1, 0):
        device = None
    if not isinstance(device, (Device, str, int)):
        device = None  # such as a torch.device
    if model is None:
        model = getattr(kind, "bundled", None)
        if model is None:
            raise TypeError(f"{task}: the argument 'model' is needed; no bundled model serves it")
    if not isinstance(model, (str, os.PathLike, Model)):
        raise TypeError(f"the argument 'model' is not served as {type(model).__name__}: give its folder or its name")
    opened = model if isinstance(model, Model) else Model(model, device=device)
    return kind(opened, batch_size, arguments)


__all__ = ["Error", "Pipeline", "pipeline"]
