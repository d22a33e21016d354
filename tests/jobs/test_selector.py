"""What words about roles mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.errors import ConfigError
from meshcluster.jobs.selector import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    Selector,
    flatten,
    is_name,
    names_of,
)

SITES = {
    "ada": {"ada", "app", "web-1"},
    "bob": {"bob", "app", "db"},
    "cat": {"cat", "db", "web-2"},
    "dan": {"dan"},
}


def chosen(words):
    selector = Selector(words)
    return " ".join(name for name, roles in SITES.items() if selector.matches(roles))


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("app", "ada bob"),
        ("dan", "dan"),
        ("nobody", ""),
        ("ap", ""),
        ("App", ""),
        ("web-*", "ada cat"),
        ("web-[!1]", "cat"),
        ("?a?", "cat dan"),
        ("*", "ada bob cat dan"),
        ("!app", "cat dan"),
        ("!!app", "ada bob"),
        ("! web-*", "bob dan"),
        ("app & db", "bob"),
        ("app&!db", "ada"),
        ("app | cat", "ada bob cat"),
        ("cat | app & db", "bob cat"),
        ("(cat | app) & db", "bob cat"),
        ("(cat | app) & !db", "ada"),
        ("!(app | db)", "dan"),
        ("!(app & db) & !dan", "ada cat"),
        ("app, dan", "ada bob dan"),
        ("cat, app & db", "bob cat"),
        ("  app  ", "ada bob"),
        ("((app))", "ada bob"),
    ],
)
def test_a_text_says_who_is_meant(words, who):
    assert chosen(words) == who


@pytest.mark.parametrize(
    ("words", "who"),
    [
        (["app", "cat"], "ada bob cat"),
        (["ada", ["cat", ("dan",)]], "ada cat dan"),
        ({"ada"}, "ada"),
        (["app", "!db"], "ada bob dan"),
        (["app & !db", "cat, dan"], "ada cat dan"),
        ([], ""),
        ([[], ()], ""),
    ],
)
def test_a_list_means_the_union_of_its_texts(words, who):
    assert chosen(words) == who


def test_a_term_that_is_a_roles_name_alone_says_so():
    terms = Selector(["app, web-*", " db ", "!db", "(db)", "a|b", "!!db"]).terms
    assert [term.role for term in terms] == ["app", None, "db", None, None, None, None]


@pytest.mark.parametrize(
    ("words", "place", "hint"),
    [
        ("", "at character 1", "a role is missing"),
        ("  ", "at character 3", "a role is missing"),
        ("app &", "'app & >>>' at character 6", "a role is missing"),
        ("app & | db", "'app &  >>> | db' at character 7", "a role is missing"),
        ("app,", "at character 5", "a role is missing"),
        ("app,,db", "at character 5", "a role is missing"),
        ("!", "at character 2", "a role is missing"),
        ("()", "at character 2", "a role is missing"),
        ("(app", "at character 5", r"a \) is missing"),
        ("(app, db)", "at character 5", r"a \) is missing"),
        ("app)", "at character 4", r"leave \) out"),
        ("app db", "at character 5", "& or | or a comma"),
        ("app !db", "at character 5", "& or | or a comma"),
        ("app $ db", "at character 5", "signs are"),
        ("a[b", "at character 2", "signs are"),
        ("app && db", "at character 6", "a role is missing"),
    ],
)
def test_what_cannot_be_understood_is_shown_with_its_place(words, place, hint):
    with pytest.raises(ConfigError, match=hint) as raised:
        Selector(words)
    assert place in str(raised.value)


@pytest.mark.parametrize("words", [None, 7, b"app", ["app", None], {"app": 1}])
def test_words_are_texts(words):
    with pytest.raises(ConfigError, match="a text such as"):
        Selector(words)


def test_nesting_and_length_have_a_limit():
    def nested(times):
        return "(" * times + "app" + ")" * times

    assert chosen(nested(MAX_DEPTH)) == "ada bob"
    for text in (nested(MAX_DEPTH + 1), "(" * 4000, "a" * (MAX_CHARACTERS + 1)):
        with pytest.raises(ConfigError):
            Selector(text)
    assert chosen("!" * 4000 + "app") == "ada bob"
    endless = ["app"]
    endless.append(endless)
    with pytest.raises(ConfigError, match="lists in lists"):
        Selector(endless)


@given(some.text(alphabet="ab*?[]!&|(),- ", max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        terms = len(Selector(text).terms)
    except ConfigError:
        terms = 0
    assert terms in (0, text.count(",") + 1)


# --- names ----------------------------------------------------------------------------------------


def test_lists_in_lists_are_flattened():
    assert list(flatten("names", ["a", ["b", ("c", [])], "d"])) == ["a", "b", "c", "d"]
    assert list(flatten("names", "a")) == ["a"]


@pytest.mark.parametrize("name", ["a", "web-1", "ada@host:22", "a/b+c=d_e.f", "Zoë", "9"])
def test_a_name_has_letters_digits_and_a_few_signs(name):
    assert is_name(name)
    assert Selector(name).terms[0].role == name


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a,b", "web*", "!a", "a&b", "(a)", "a\n", "a" * 256, None, 7, b"a", {}]
)
def test_what_would_mean_something_else_is_no_name(name):
    assert not is_name(name)
    with pytest.raises(ConfigError, match=r"names=.*(letters, digits|a text)"):
        names_of("names", ["good", name])


def test_names_are_taken_once_each():
    assert names_of("names", ["b", ["a", "b"]]) == ("b", "a")
    assert names_of("names", []) == ()
