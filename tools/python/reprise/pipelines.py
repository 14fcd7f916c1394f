"""pipeline(): the answers of transformers' pipelines (4.44.2), by Reprise.

A script that calls `transformers.pipeline` with a folder or the name of a model changes its import and nothing
else. Differences: an argument that is not served is a TypeError that names it; a model of one label gives the raw
value, where 4.44.2 puts a sigmoid over regressions too; scores are equal to 1e-5, not in every bit."""
from __future__ import annotations

import collections.abc
import math
import os
import types
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from ._native import Error
from .models import Device, Model, any_device, convert
from .tokens import Encoding, Tokenizer

_IGNORED = ("framework", "torch_dtype", "num_workers", "use_fast", "trust_remote_code", "token",
            "model_kwargs", "device_map", "feature_extractor", "image_processor", "use_auth_token",
            "local_files_only", "binary_output")


def _refuse(arguments: Dict[str, Any], task: str) -> None:
    for name in arguments:
        raise TypeError(f"{task}: the argument '{name}' is not served by reprise.pipeline")


class Pipeline:
    """What pipeline() returns. Calling it with one input gives one answer, with a list a list, with a generator
    or another iterable a generator that reads as it goes."""

    task = ""
    bundled: Optional[str] = None

    def __init__(self, model: Model, batch_size: Optional[int], arguments: Dict[str, Any], task: str = ""):
        self.model, self._batch, self.task = model, batch_size, task or self.task
        self._options = self.sanitize(arguments)  # a wrong one is an error here, not at the first call
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
        """Those keyword arguments that are given, as run() takes them. A TypeError names one that is not served."""
        raise NotImplementedError

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        """The answers to some inputs."""
        raise NotImplementedError

    def __call__(self, inputs: Any, *, batch_size: Optional[int] = None, num_workers: Optional[int] = None,
                 **given: Any) -> Any:
        options = {**self._options, **self.sanitize(given)}
        if isinstance(inputs, list):
            return self.run(inputs, options)
        if self._streams(inputs):
            return self._stream(inputs, batch_size or self._batch or 32, options)
        return self.run([inputs], options)[0]

    def predict(self, X: Any) -> Any:
        """The call, by the name that scikit-learn has."""
        return self(X)

    transform = predict

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
        return type(self), (self.model, self._batch, self._defaults, self.task)


def _text(item: Any) -> Union[str, bytes]:
    """A text, or the one text of a tuple."""
    if isinstance(item, tuple) and len(item) == 1:
        item = item[0]
    if isinstance(item, (str, bytes)):
        return item
    raise ValueError(f"a text is a str, not {type(item).__name__}: give one str, or a list of them")


_CUTS = {"truncation": ("longest_first", "only_first", "only_second", "do_not_truncate"),
         "padding": ("longest", "max_length", "do_not_pad")}


def _lengths(given: Dict[str, Any]) -> Dict[str, Any]:
    """Take the arguments of tokenizers out that say how long a text may be, as _tokens() takes them."""
    names = ["truncation", "padding", "max_length", "add_special_tokens"]
    options = {name: given.pop(name) for name in names if name in given}
    for name, known in _CUTS.items():
        value = getattr(options.get(name), "value", options.get(name))
        if value is not None and not isinstance(value, bool) and value not in known:
            raise ValueError(f"'{name}' is True, False, or one of {', '.join(known)}, not {value!r}")
    return options


def _tokens(options: Dict[str, Any], model: Model) -> Dict[str, Any]:
    """How the tokenizer is called where a text is cut shorter than the model takes, or has no special tokens; {} else."""
    made: Dict[str, Any] = {}
    truncation, longest = options.get("truncation"), options.get("max_length")
    if truncation is None and longest is not None:  # max_length alone asks for it, but not beside a padding
        truncation = options.get("padding", False) is False
    if longest and truncation not in (None, False, "do_not_truncate") and longest < model.info["max_tokens"]:
        made["max_tokens"] = longest
    if options.get("add_special_tokens") is False:
        made["no_special_tokens"] = True
    return {"max_tokens": model.info["max_tokens"], **made} if made else {}


def _encode(model: Model, pairs: List[Any], tokens: Dict[str, Any], truncation: Any) -> List[Encoding]:
    """The tokens of texts and of pairs. truncation=True is the one way in which a pair is cut."""
    made = [model.tokenizer(text, pair, **tokens) for text, pair in pairs]
    if truncation in ("only_first", "only_second") and any(e.truncated and p[1] is not None for e, p in zip(made, pairs)):
        raise TypeError(f"the argument 'truncation' is not served as '{truncation}' where a pair is cut: give True")
    return made


class TextClassification(Pipeline):
    task, bundled = "text-classification", "sentiment"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        options = _lengths(given)
        every, top = given.pop("return_all_scores", None), given.pop("top_k", "")
        if isinstance(top, int) or top is None:
            options.update(top_k=top, legacy=False)
        elif every is not None:
            options["top_k"] = None if every else 1
        apply = given.pop("function_to_apply", None)
        if apply is not None:
            name = str(getattr(apply, "name", apply)).upper()
            if name not in ("SIGMOID", "SOFTMAX", "NONE", "DEFAULT"):
                raise KeyError(f"{name}: 'function_to_apply' is sigmoid, softmax or none")
            options["apply"] = None if name == "DEFAULT" else name.lower()
        _refuse(given, self.task)
        return options

    def __call__(self, inputs: Any, **given: Any) -> Any:
        answer = super().__call__(inputs, **given)
        return [answer] if isinstance(inputs, str) and "top_k" not in given else answer

    def _pair(self, item: Any) -> Tuple[Any, Any]:
        if isinstance(item, dict):
            extra = dict(item)
            text, pair = extra.pop("text", None), extra.pop("text_pair", None)
            if text is None:
                raise ValueError('a dict of the inputs has the key "text", and "text_pair" for a pair')
            _refuse(extra, self.task)
            return _text(text), None if pair is None else _text(pair)
        if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
            return _text(item[0][0]), _text(item[0][1])
        if isinstance(item, list):
            raise ValueError('the pipeline takes texts; a text pair is {"text": "My text", "text_pair": "My pair"}')
        return _text(item), None

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        pairs, top, legacy = [self._pair(item) for item in items], options.get("top_k", 1), options.get("legacy", True)
        tokens, problem = _tokens(options, self.model), self.model.info["problem"]
        usual = "none" if problem == "regression" else "softmax"
        usual = "sigmoid" if problem == "multi_label" or usual == "softmax" and len(self.model.labels) == 1 else usual
        apply = options.get("apply") or usual
        if tokens or apply != usual or options.get("truncation") in ("only_first", "only_second"):
            answers = self._scored(pairs, tokens or {"max_tokens": self.model.info["max_tokens"]}, apply, options)
        else:
            answers = self.model.classify(pairs, top_k=top if top is not None and top > 0 else 0)
        if legacy and top == 1:
            return [answer[0] for answer in answers]
        if legacy:  # in the order of the labels
            order = {label: place for place, label in enumerate(self.model.labels)}
            return [sorted(answer, key=lambda entry: order.get(str(entry["label"]), 0)) for answer in answers]
        return [answer[:top] for answer in answers]

    def _scored(self, pairs: List[Any], tokens: Dict[str, Any], apply: str, options: Dict[str, Any]) -> List[Any]:
        """The labels of each text, best first, by another function of the logits than the model's own, or of fewer
        tokens."""
        if not pairs:
            return []
        made = self.model.run(_encode(self.model, pairs, tokens, options.get("truncation")), "classes")
        labels, answers = self.model.bare_labels, []
        for logits in (matrix.tolist()[0] for matrix in made):
            scores = logits
            if apply == "softmax":
                shares = [math.exp(value - max(logits)) for value in logits]
                scores = [share / sum(shares) for share in shares]
            elif apply == "sigmoid":
                scores = [0.5 + 0.5 * math.tanh(value / 2) for value in logits]
            rows = [{"label": label, "score": score} for label, score in zip(labels, scores)]
            answers.append(sorted(rows, key=lambda row: row["score"], reverse=True))
        return answers


def _aggregation(strategy: Any) -> str:
    """The word of a strategy, or of transformers' enum of them."""
    known = ("none", "simple", "first", "average", "max")
    if isinstance(strategy, str):
        if strategy.upper() not in [word.upper() for word in known]:
            raise KeyError(f"{strategy.upper()}: 'aggregation_strategy' is one of {', '.join(known)}")
        return strategy.lower()
    word = str(getattr(strategy, "value", ""))
    if word not in known:
        raise ValueError(f"'aggregation_strategy' is one of {', '.join(known)}, not {strategy!r}")
    return word


def _stride(stride: int, aggregation: Optional[str], model: Model) -> int:
    room = model.info["max_tokens"] - 2
    if aggregation == "none":
        raise ValueError("`stride` goes with an `aggregation_strategy` other than none")
    if stride == 0:
        raise TypeError("token-classification: the argument 'stride' is not served as 0: give 1 or more")
    if stride < 0 or stride >= room:
        raise ValueError(f"`stride` is between 1 and {room - 1}, the tokens of a window that this model takes")
    return stride


class TokenClassification(Pipeline):
    task = "token-classification"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        grouped, subwords = given.pop("grouped_entities", None), given.pop("ignore_subwords", None)
        strategy = given.pop("aggregation_strategy", None)
        if grouped is not None or subwords is not None:
            strategy = "none" if not grouped else "first" if subwords else "simple"
        options: Dict[str, Any] = {}
        if strategy is not None:
            options["aggregation"] = _aggregation(strategy)
        ignored = given.pop("ignore_labels", None)
        if isinstance(ignored, str):
            raise TypeError(f"the argument 'ignore_labels' is a list of labels: give [{ignored!r}]")
        if ignored is not None:
            options.update(ignored=ignored, outside="O" not in ignored)
        stride = given.pop("stride", None)
        if stride is not None:
            options.update(stride=_stride(stride, options.get("aggregation"), self.model), cut=False)
        _refuse(given, self.task)
        return options

    def __call__(self, inputs: Any, **given: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and inputs:
            inputs = list(inputs)
        elif not isinstance(inputs, str) and (isinstance(inputs, (list, tuple, dict, bytes)) or not self._streams(inputs)):
            raise ValueError("the pipeline takes a text, or a list of at least one")
        return super().__call__(inputs, **given)

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        ignored = options.get("ignored", ())
        arguments = {"aggregation": "none", "cut": True,
                     **{name: value for name, value in options.items() if name != "ignored"}}
        if arguments["aggregation"] == "none" and not arguments["cut"]:
            raise TypeError("token-classification: the argument 'stride' is not served without an 'aggregation_strategy'")
        answers = self.model.tag([_text(item) for item in items], **arguments)
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
              "max_seq_len": "max_tokens", "handle_impossible_answer": "allow_no_answer"}

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _lengths(given)  # which transformers' pipeline takes, and leaves be
        top = given.pop("topk", None)
        if top is not None and given.get("top_k") is None:
            given["top_k"] = top
        if given.pop("align_to_words", None) is False:
            raise TypeError("question-answering: the argument 'align_to_words' is not served but as True")
        for name in ("top_k", "max_answer_len"):
            if given.get(name) is not None and given[name] < 1:
                raise ValueError(f"{name} parameter should be >= 1 (got {given[name]})")
        given.pop("max_question_len", None)  # transformers' fast tokenizers do not cut a question
        stride, longest = given.get("doc_stride"), given.get("max_seq_len")
        if stride == 0:
            raise TypeError("question-answering: the argument 'doc_stride' is not served as 0: give 1 or more")
        if stride is not None and stride > (min(384, self.model.info["max_tokens"]) if longest is None else longest):
            raise ValueError(f"`doc_stride` ({stride}) is larger than `max_seq_len`: give less")
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
            elif isinstance(question, str) and isinstance(context, str):
                inputs = {"question": question, "context": context}
            else:
                raise ValueError("`question` and `context` are two str, or lists of them")
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
            questions.append((_text(item["question"]), _text(item["context"])))
        return self.model.answer(questions, max_question_tokens=self.model.info["max_tokens"], **options)


class FillMask(Pipeline):
    task, bundled = "fill-mask", "pretrained"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        options: Dict[str, Any] = {}
        kwargs = given.pop("tokenizer_kwargs", None)
        if kwargs is not None:
            kwargs = dict(kwargs)
            options["lengths"] = _lengths(kwargs)
            for name in [*kwargs, *(["add_special_tokens"] if "add_special_tokens" in options["lengths"] else [])]:
                raise TypeError(f"fill-mask: the argument 'tokenizer_kwargs' is not served with '{name}'")
        top, targets = given.pop("top_k", None), given.pop("targets", None)
        if top is not None:
            if targets is None and not 0 <= top <= self.tokenizer.vocab_size:
                raise RuntimeError(f"top_k is between 0 and {self.tokenizer.vocab_size}, the number of tokens, not {top}")
            options["top_k"] = top
        if targets is not None:
            options["targets"] = self._ids(targets)
        _refuse(given, self.task)
        return options

    def _ids(self, targets: Union[None, str, List[str]]) -> Optional[List[int]]:
        """The tokens that may fill a mask: each target, or what it begins with."""
        if targets is None:
            return None
        ids: Dict[int, None] = {}
        for target in [targets] if isinstance(targets, str) else targets:
            _text(target)
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
        items, targets, top = [_text(item) for item in items], options.get("targets"), options.get("top_k", 5)
        tokens = _tokens(options.get("lengths", {}), self.model)
        if tokens and any(self.tokenizer(item, **tokens).truncated for item in items):
            raise TypeError("fill-mask: the argument 'tokenizer_kwargs' is not served with a 'max_length' that cuts a text: "
                            "cut it around its mask")
        if targets is None and top:
            return self.model.fill_mask(items, top_k=top)

        def kept(answer: List[Any]) -> List[Any]:
            if answer and isinstance(answer[0], list):
                return [kept(each) for each in answer]
            return [entry for entry in answer if targets is None or entry["token"] in targets][:top]

        return [kept(self.model.fill_mask([item], top_k=self.tokenizer.vocab_size)[0]) for item in items]


class FeatureExtraction(Pipeline):
    task, bundled = "feature-extraction", "sentiment"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        options: Dict[str, Any] = {}
        kwargs, truncation = dict(given.pop("tokenize_kwargs", None) or {}), given.pop("truncation", None)
        if truncation is not None:
            if "truncation" in kwargs:
                raise ValueError("`truncation` is given twice, also in `tokenize_kwargs`: give it once")
            kwargs["truncation"] = truncation
        if kwargs:
            options["lengths"] = _lengths(kwargs)
            if options["lengths"].get("padding") == "max_length":
                raise TypeError("feature-extraction: the argument 'padding' is not served as 'max_length': a text has the "
                                "rows of its own tokens")
        for name in kwargs:
            raise TypeError(f"feature-extraction: the argument 'tokenize_kwargs' is not served with '{name}'")
        for name in ("padding", "max_length"):  # which transformers' pipeline takes here, and leaves be
            given.pop(name, None)
        tensors = given.pop("return_tensors", None)
        if tensors is not None:
            options["tensors"] = tensors
        _refuse(given, self.task)
        return options

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        texts, lengths = [_text(item) for item in items], options.get("lengths", {})
        tokens = _tokens(lengths, self.model)
        if tokens and texts:
            vectors = self.model.run(_encode(self.model, [(text, None) for text in texts], tokens, None), "hidden")
        else:
            vectors = self.model.embed(texts, pooling="none", prompt="")
        if not options.get("tensors"):
            return [[array.tolist()] for array in vectors]
        try:
            import torch
        except ImportError:
            raise TypeError("feature-extraction: the argument 'return_tensors' is not served without PyTorch") from None
        return [torch.tensor(array.tolist()).unsqueeze(0) for array in vectors]


def _template(template: str) -> str:
    """A template of Python's format() as the library takes it, with {} where the label goes."""
    if template.format("label") == template:
        raise ValueError(f'the hypothesis_template "{template}" has no place for the label: write {{}} where it goes')
    return template.format("{}")


class ZeroShotClassification(Pipeline):
    task = "zero-shot-classification"

    def sanitize(self, given: Dict[str, Any]) -> Dict[str, Any]:
        given = dict(given)
        _lengths(given)  # which transformers' pipeline takes, and leaves be
        options: Dict[str, Any] = {}
        multi = given.pop("multi_class", None)
        multi = given.pop("multi_label", multi)
        if multi is not None:
            options["multi_label"] = bool(multi)
        labels = given.pop("candidate_labels", None)
        if labels is not None:
            if isinstance(labels, str):
                labels = [label.strip() for label in labels.split(",") if label.strip()]
            options["labels"] = list(labels)
            for label in options["labels"]:
                if "\0" in str(label):
                    raise ValueError(f"the label {label!r} holds a NUL character: leave it out")
        template = given.pop("hypothesis_template", None)
        if template is not None:
            options["hypothesis"] = _template(template)
        _refuse(given, self.task)
        return options

    def __call__(self, *args: Any, **given: Any) -> Any:
        if not args and "sequences" not in given:
            raise TypeError("zero-shot-classification: the argument 'sequences' is needed")
        sequences, *more = args or (given.pop("sequences"),)
        if len(more) == 1 and "candidate_labels" not in given:
            given["candidate_labels"] = more[0]
        elif more:
            raise ValueError(f"Unable to understand extra arguments {more}")
        return super().__call__(sequences, **given)

    def run(self, items: List[Any], options: Dict[str, Any]) -> List[Any]:
        if "labels" not in options:
            raise TypeError("zero-shot-classification: the argument 'candidate_labels' is needed")
        if not options["labels"] or not all(items):
            raise ValueError("You must include at least one label and at least one sequence.")
        known = {str(label): label for label in options["labels"]}
        options = {**options, "labels": [str(label) for label in options["labels"]]}
        answers = self.model.zero_shot([_text(item) for item in items], **options)
        return [{"sequence": item, "labels": [known[entry["label"]] for entry in answer],
                 "scores": [entry["score"] for entry in answer]} for item, answer in zip(items, answers)]


_TASKS: Dict[str, Callable[..., Pipeline]] = {
    "text-classification": TextClassification, "sentiment-analysis": TextClassification,
    "token-classification": TokenClassification, "ner": TokenClassification,
    "question-answering": QuestionAnswering, "fill-mask": FillMask, "feature-extraction": FeatureExtraction,
    "zero-shot-classification": ZeroShotClassification,
}


def pipeline(task: Optional[str] = None, model: Any = None, config: Any = None, tokenizer: Any = None, *,
             revision: Optional[str] = None, device: Union[Device, str, int, None] = None, batch_size: Optional[int] = None,
             **arguments: Any) -> Pipeline:
    """The pipeline of a task, over a folder or the name of a model (or a Model).

    `device` is a Device, a part of a device's name, or its number in devices(); 0, -1, "cpu", "cuda" and None mean
    the best one: there is no other way than Vulkan here. Other keyword arguments are those of transformers'
    pipeline of this task."""
    for name in _IGNORED:
        arguments.pop(name, None)
    for name in ("pipeline_class", "modelcard", "args_parser"):
        if arguments.get(name, "") is None:
            del arguments[name]
    if task is None:
        raise TypeError("the argument 'task' is needed: " + ", ".join(_TASKS))
    if task not in _TASKS:
        raise KeyError(f"Unknown task {task}, available tasks are {list(_TASKS)}")
    kind = _TASKS[task]
    device = any_device(device)
    if model is None:
        model = getattr(kind, "bundled", None)
        if model is None:
            raise TypeError(f"{task}: the argument 'model' is needed; no bundled model serves it")
    if not isinstance(model, (str, os.PathLike, Model)):
        raise TypeError(f"the argument 'model' is not served as {type(model).__name__}: give its folder or its name")
    for name, given in (("tokenizer", tokenizer), ("config", config)):
        named = getattr(given, "name_or_path", given[0] if isinstance(given, tuple) else given)
        if given is not None and os.path.normpath(str(named)) != os.path.normpath(getattr(model, "name_or_path", str(model))):
            raise TypeError(f"the argument '{name}' is not served: the {name} is that of the model's folder")
    if revision not in (None, "main") and isinstance(model, str) and not os.path.isdir(model):
        model = f"{model}@{revision}"
    opened = model if isinstance(model, Model) else Model(model, device=device)
    return kind(opened, batch_size, arguments, task)


__all__ = ["Error", "Pipeline", "pipeline"]
