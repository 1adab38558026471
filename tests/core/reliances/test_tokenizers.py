"""tokenizers: how its Rust code fails."""

import pytest
from tokenizers import Regex, pre_tokenizers

from attention_core.inside.of_tokenizers import is_panic

pytestmark = pytest.mark.reliance


def test_tokenizers_a_panic_is_no_exception_and_is_told_by_the_name_of_its_class(capfd):
    backtracks = pre_tokenizers.Split(Regex("^(([a-z])+.)+[A-Z]([a-z])+$"), "isolated")
    with pytest.raises(BaseException) as caught:
        backtracks.pre_tokenize_str("a" * 5_000)
    assert is_panic(caught.value)
    assert not isinstance(caught.value, Exception)
    assert not is_panic(ValueError()) and not is_panic(KeyboardInterrupt())
