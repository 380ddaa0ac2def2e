"""Top-level names that the engine could take for methods of a Python dict."""

from __future__ import annotations

import pytest

from templates_app.errors import MissingVariable
from templates_app.rendering import render
from templates_app.values import METHOD_NAMES

NAMES = sorted(METHOD_NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["{{ %s }}", "{%% if %s %%}yes{%% endif %%}", "{{ %s.x }}"])
def test_a_missing_name_is_missing_whatever_python_calls_its_methods(name, source):
    with pytest.raises(MissingVariable) as caught:
        render({"text": source % name}, {"other": 1, f"_{name}": "x"})
    assert caught.value.name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_name_is_undefined_and_has_a_default(name):
    source = (
        f"{{% if {name} is defined %}}yes{{% else %}}no{{% endif %}}{{{{ {name}|default('!') }}}}"
    )
    assert render({"text": source}, {"other": 1}) == {"text": "no!"}


@pytest.mark.parametrize("name", NAMES)
def test_such_a_name_is_as_good_as_any_other(name):
    source = f"{{{{ {name} }}}}{{% for {name} in {name}s %}}{{{{ {name}.x }}}}{{% endfor %}}"
    assert render({"text": source}, {name: "a", f"{name}s": [{"x": "b"}]}) == {"text": "ab"}


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_of_such_a_name_is_named_as_the_author_wrote_it(name):
    with pytest.raises(MissingVariable) as caught:
        render({"text": f"{{{{ {name}.total.net }}}}"}, {name: {"total": {}}})
    assert caught.value.name == f"{name}.total.net"
