#!/usr/bin/env python3
"""use_clients.py URL [QUESTIONS]: ask a server of reprise as the clients of its peers do, unchanged.

URL serves the models sentiment, pretrained, entities and similarity, and QUESTIONS, a model that answers questions. Packages
that are not installed are passed over; what is asked by the others must come back as they expect it.
"""

import importlib
import sys

URL = sys.argv[1].rstrip("/")
QUESTIONS = sys.argv[2] if len(sys.argv) > 2 else None


def near(a, b):
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) < 1e-6


def use_openai(openai):
    client = openai.OpenAI(base_url=URL + "/v1", api_key="none")
    coded = client.embeddings.create(model="similarity", input=["a cat", "a kitten"])  # base64, which it decodes
    plain = client.embeddings.create(model="similarity", input="a cat", encoding_format="float")
    assert len(coded.data) == 2 and near(coded.data[0].embedding, plain.data[0].embedding)
    assert coded.usage.total_tokens > 0
    assert {"sentiment", "similarity"} <= {model.id for model in client.models.list()}
    for wrong, error in (({"model": "none", "input": "a"}, openai.NotFoundError),
                         ({"model": "similarity", "input": []}, openai.BadRequestError)):
        try:
            client.embeddings.create(**wrong)
            raise AssertionError(wrong)
        except error:
            pass


def use_hub(hub):
    client = hub.InferenceClient(model=URL)
    labels = client.text_classification("a warm and funny film")
    assert labels[0].label == "POSITIVE" and labels[0].score > 0.9 and len(labels) == 2
    assert len(client.text_classification("a film", top_k=1, function_to_apply="sigmoid")) == 1
    entities = hub.InferenceClient(model=URL + "/models/entities")
    found = entities.token_classification("Ada Lovelace was born in London, and Marie Curie in Warsaw.", aggregation_strategy="simple")
    assert all(entity.entity_group and entity.end > entity.start for entity in found)
    fillings = client.fill_mask("She opened the [MASK] and looked out.")
    assert len(fillings) == 5 and fillings[0].token_str
    assert {filling.token_str for filling in client.fill_mask("She opened the [MASK].", targets=["door", "book"])} == {"door", "book"}
    vectors = hub.InferenceClient(model=URL + "/pipeline/feature-extraction").feature_extraction("a cat")
    assert vectors.shape == (1, 384)
    if int(hub.__version__.split(".")[0]) >= 1:  # before, / cannot tell it from other tasks
        assert (client.feature_extraction("a cat") == vectors).all()
    assert len(client.sentence_similarity("a cat", other_sentences=["a kitten", "a train"])) == 2
    ranked = client.zero_shot_classification("The parcel came late", candidate_labels=["delivery", "price"])
    assert {label.label for label in ranked} == {"delivery", "price"}
    several = client.zero_shot_classification("The parcel came late", candidate_labels=["delivery", "price"], multi_label=True,
                                              hypothesis_template="It is about {}.")
    assert len(several) == 2
    if QUESTIONS:
        answer = hub.InferenceClient(model=f"{URL}/models/{QUESTIONS}").question_answering(
            question="Who wrote the first program?", context="Ada Lovelace wrote the first program.")
        assert answer.end > answer.start and answer.answer


def use_langchain_openai(package):
    embeddings = package.OpenAIEmbeddings(model="similarity", base_url=URL + "/v1", api_key="none", check_embedding_ctx_length=False)
    vectors = embeddings.embed_documents(["a cat", "a kitten"])
    assert len(vectors) == 2 and len(embeddings.embed_query("a cat")) == 384 and near(vectors[0], embeddings.embed_query("a cat"))


def use_langchain_tei(package):
    """As long as it took the address of a server of one's own, until langchain-huggingface 0.1."""
    try:
        embeddings = package.HuggingFaceEndpointEmbeddings(model=URL)
    except ValueError:
        print("langchain_huggingface: this version takes no address of a server")
        return
    vectors = embeddings.embed_documents(["a cat", "a kitten"])
    assert len(vectors) == 2 and near(vectors[0], embeddings.embed_query("a cat"))


for name, use in (("openai", use_openai), ("huggingface_hub", use_hub), ("langchain_openai", use_langchain_openai),
                  ("langchain_huggingface", use_langchain_tei)):
    try:
        package = importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: not installed ({error})")
        continue
    use(package)
    print(f"{name} {getattr(package, '__version__', '')}: passed")
