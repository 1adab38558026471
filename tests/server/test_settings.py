"""What an operator sets decides what visitors may open; tried by attack."""

from dataclasses import replace

import pytest

from attention_core.models.loading import ModelError
from pages.shared.process.settings import from_environment
from pages.shared.service.loading import Models
from pages.shared.service.sources import Picture, Source, picture_bytes


def of(monkeypatch, **variables: str):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return from_environment()


def locate(settings, name: str):
    return Models(lambda: settings, lambda job: job(), lambda gone: None).locate(name)


def test_by_default_folders_are_closed_and_the_hub_is_open(monkeypatch):
    for name in ("SIGHTLINE_FOLDERS", "SIGHTLINE_HUB", "SIGHTLINE_HUB_ONLY"):
        monkeypatch.delenv(name, raising=False)
    settings = from_environment()
    assert not settings.folders
    assert settings.fetches("anybody/anything")


@pytest.mark.parametrize(
    ("address", "is_open"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("10.0.0.7", False), (None, False)],
)
def test_where_others_can_reach_the_server_the_hub_is_closed_unless_the_operator_opens_it(
    monkeypatch, address, is_open
):
    for name in ("SIGHTLINE_HUB", "SIGHTLINE_HUB_ONLY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("streamlit.get_option", {"server.address": address}.get)
    assert from_environment().hub is is_open
    assert of(monkeypatch, SIGHTLINE_HUB_ONLY="org/a").fetches("org/a")
    assert of(monkeypatch, SIGHTLINE_HUB="1").hub
    assert not of(monkeypatch, SIGHTLINE_HUB="0").hub


def test_visitors_open_nothing_with_the_operators_token(monkeypatch):
    """Whom the hub sees: nobody for a visitor's model, the operator for his own, the one of the setting for all."""
    seen = []
    monkeypatch.setattr("attention_core.models.locating.locate", lambda name, *_, **given: seen.append(given["token"]))
    settings = replace(from_environment(), model="org/mine")
    for name in ("org/theirs", "org/mine"):
        locate(settings, name)
        locate(replace(settings, hub_token="hf_x"), name)
    assert seen == [False, "hf_x", None, "hf_x"]


def test_the_hub_can_be_narrowed_to_a_list(monkeypatch):
    settings = of(monkeypatch, SIGHTLINE_HUB_ONLY=" org/a, openai-community/gpt2 ,")
    assert settings.hub_only == ("org/a", "openai-community/gpt2")
    assert settings.fetches("org/a")
    assert not settings.fetches("org/b")
    assert not replace(settings, hub=False).fetches("org/a")


@pytest.mark.parametrize("name", ["org/b", "distilgpt2", "distilbert/distilgpt2", "ORG/A", "org/a/../b", " org/b"])
def test_a_model_that_is_not_in_the_list_is_never_asked_for(monkeypatch, name):
    settings = of(monkeypatch, SIGHTLINE_HUB_ONLY="org/a,openai-community/gpt2")
    with pytest.raises(ModelError, match="does not fetch that model|does not open folders"):
        locate(settings, name)


@pytest.mark.parametrize("name", ["org/a", "gpt2", "openai-community/gpt2", " org/a "])
def test_a_model_of_the_list_is_asked_for(monkeypatch, name):
    """The tests run without a network, so the hub does not answer: it was asked."""
    settings = of(monkeypatch, SIGHTLINE_HUB_ONLY="org/a,openai-community/gpt2")
    with pytest.raises(ModelError, match="hub does not answer"):
        locate(settings, name)


@pytest.mark.parametrize(
    "name",
    ["/etc", "./attention_core", "../", "~", "~root/x", "C:\\models", "a/b/c", "/proc/self/root", "assets/models/x/"],
)
def test_folders_are_closed_to_every_way_of_writing_one(name):
    with pytest.raises(ModelError, match="does not open folders"):
        locate(replace(from_environment(), folders=False), name)


@pytest.mark.parametrize("name", ["attention_core", "assets/models", "tests"])
def test_a_folder_that_reads_like_a_hub_id_is_asked_of_the_hub(name):
    with pytest.raises(ModelError, match="hub"):
        locate(replace(from_environment(), folders=False), name)


def test_a_long_second_sentence_counts_in_the_memory_of_keys():
    """A hundred thousand pairs of one short and one long sentence must not fit where short ones do."""
    short = picture_bytes(Picture(Source("minilm", "a")))
    for name in ("model", "text", "pair", "target"):
        source = replace(Source("minilm", "a"), **{name: "x" * 100_000})
        assert picture_bytes(Picture(source)) > short + 300_000


def test_without_a_disk_nothing_is_put_away(monkeypatch):
    assert of(monkeypatch, SIGHTLINE_DISK_MB="0").shelf_bytes == 0
    with pytest.raises(ValueError, match="SIGHTLINE_DISK_MB must be a whole number from 0; got '-1'"):
        of(monkeypatch, SIGHTLINE_DISK_MB="-1")
