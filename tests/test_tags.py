"""A member's own tags: read like a sequence, changed by methods that announce each change."""

import pytest

from meshcluster.errors import ConfigError, MessageTooLarge
from meshcluster.tags import Tags


class Member:
    """Has tags, and notes each announcement of them."""

    def __init__(self, *tags):
        self.said = tags
        self.announced = []
        self.tags = Tags(lambda: self.said, self.change)

    def change(self, change):
        self.said = change(self.said)
        self.announced.append(self.said)


def test_tags_read_like_a_sequence():
    tags = Member("web", "db").tags
    assert list(tags) == ["web", "db"]
    assert (tags[0], tags[-1], tags[:1], len(tags)) == ("web", "db", ("web",), 2)
    assert "web" in tags
    assert "mail" not in tags


def test_tags_are_as_they_are_now():
    member = Member("web")
    tags = member.tags
    member.said = ("db",)
    assert list(tags) == ["db"]


def test_tags_equal_any_sequence_of_the_same_words():
    tags = Member("web", "db").tags
    assert tags == ["web", "db"] == tags
    assert tags == ("web", "db")
    assert tags != ["db", "web"]
    assert tags != {"web", "db"}


def test_repr_is_that_of_a_list():
    assert repr(Member("web").tags) == "['web']"


def test_append_adds_at_the_end_and_announces_once():
    member = Member("web")
    member.tags.append("db", "mail")
    assert member.announced == [("web", "db", "mail")]


def test_append_leaves_a_tag_already_there_where_it_is():
    member = Member("web", "db")
    member.tags.append("mail", "web", "mail")
    assert member.said == ("web", "db", "mail")


def test_remove_ignores_what_is_not_there():
    member = Member("web", "db")
    member.tags.remove("db", "mail")
    assert member.said == ("web",)


def test_replace_sets_all_anew_each_once():
    member = Member("web")
    member.tags.replace(tag for tag in ["b", "a", "b"])
    assert member.announced == [("b", "a")]


@pytest.mark.parametrize(
    ("old", "new", "tags"),
    [
        ("b", "x", "a x c"),
        ("a", "x", "x b c"),
        ("z", "x", "a b c"),
        ("b", "c", "a c"),
        ("c", "a", "b a"),
        ("z", "a", "a b c"),
        ("b", "b", "a b c"),
        ("b", "", "a b c"),
        ("b", None, "a b c"),
    ],
)
def test_map_puts_a_tag_in_the_place_of_another_and_doubles_none(old, new, tags):
    member = Member("a", "b", "c")
    member.tags.map(old, new)
    assert member.said == tuple(tags.split())


@pytest.mark.parametrize(
    ("old", "new", "tags"),
    [
        ("b", "x", "a c x"),
        ("z", "x", "a b c x"),
        ("b", "a", "a c"),
        ("z", "a", "a b c"),
        ("b", "b", "a c b"),
        ("z", "z", "a b c z"),
    ],
)
def test_mappend_takes_one_away_and_adds_the_other_at_the_end(old, new, tags):
    member = Member("a", "b", "c")
    member.tags.mappend(old, new)
    assert member.said == tuple(tags.split())


@pytest.mark.parametrize("change", ["map", "mappend"])
def test_a_mapping_is_announced_once(change):
    member = Member("a", "b")
    getattr(member.tags, change)("a", "x")
    assert len(member.announced) == 1


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ("map", "", "x"),
        ("map", "", None),
        ("map", None, "x"),
        ("map", "a", 5),
        ("map", "a", "two\nlines"),
        ("mappend", "a", ""),
        ("mappend", "a", None),
        ("mappend", "", "x"),
        ("mappend", "x" * 65, "x"),
    ],
)
def test_what_is_no_tag_is_not_mapped(change, old, new):
    member = Member("a", "b")
    with pytest.raises(ConfigError):
        getattr(member.tags, change)(old, new)
    assert member.announced == []


@pytest.mark.parametrize("wrong", ["", "x" * 65, "two\nlines", 5, None])
def test_a_word_that_is_no_tag_changes_nothing(wrong):
    member = Member("web")
    with pytest.raises(ConfigError):
        member.tags.append("good", wrong)
    with pytest.raises(ConfigError):
        member.tags.replace(["good", wrong])
    assert member.announced == []


def test_a_bare_string_does_not_become_its_letters():
    member = Member("web")
    with pytest.raises(ConfigError, match=r"\['mail'\]"):
        member.tags.replace("mail")
    assert member.announced == []


def test_what_a_member_cannot_say_of_itself_is_raised_to_the_caller():
    def refuse(change):
        raise MessageTooLarge("too many")

    with pytest.raises(MessageTooLarge):
        Tags(lambda: (), refuse).append("one")
