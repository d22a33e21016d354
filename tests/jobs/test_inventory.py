"""Sites from a TOML file, and from ssh's configuration."""

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.inventory import MAX_DEPTH, from_ssh_config, load


@pytest.fixture
def loaded(tmp_path):
    def loaded(text):
        file = tmp_path / "sites.toml"
        file.write_text(text, encoding="utf-8")
        return load(file)

    return loaded


def test_each_table_is_a_site_with_its_roles_and_keys(loaded):
    sites = loaded("""
        [sites.web1]
        roles = ["app", "web"]
        host = "web1.example"
        port = 2222
        env = {LANG = "C"}
        [sites."ada@db:22"]
        roles = "db"
        [sites.here]
        [defaults.app]
        user = "deploy"
        port = 22
    """)
    assert sites.list() == ["web1", "ada@db:22", "here"]
    web = sites.get("web1")
    assert web.roles == ("web1", "app", "web")
    assert web.config == {
        "name": "web1", "host": "web1.example", "port": 2222, "env": {"LANG": "C"}, "user": "deploy"
    }  # fmt: skip
    assert sites.list("db") == ["ada@db:22"]
    assert sites.get("here").via == "local"


def test_an_empty_file_has_no_sites(loaded):
    assert len(loaded("")) == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sites = 3", r": \[sites\]: =3: tables \[sites.NAME\]"),
        ("[sites]\nweb1 = 3", r": \[sites\]: web1=3: tables \[sites.NAME\]"),
        ("[defaults]\nuser = 'ada'", r": \[defaults\]: user='ada': tables \[defaults.ROLE\]"),
        ("[site.web1]", r": \[site\] is no table.*did you mean 'sites'\?"),
        ("[sites.web1]\nport = 'x'", r": \[sites.web1\]: port='x': a number"),
        ("[sites.web1]\nroles = ['a b']", r": \[sites.web1\]: roles='a b'"),
        ("[sites.web1]\nroles = 3", r": \[sites.web1\]: roles=3"),
        ("[sites.'a b']", r": \[sites.a b\]: the name='a b': a name has letters"),
        ("[defaults.'web-*']", r": \[defaults.web-\*\]: the name='web-\*'"),
        ("[defaults.app]\nenv = ['a']", r": \[defaults.app\]: env="),
        ("[sites.web1", ": Expected ']'"),
        ("a = 1\na = 2", ": Cannot overwrite"),
    ],
)
def test_an_error_names_the_file_the_table_and_the_key(loaded, text, error):
    with pytest.raises(ConfigError, match=rf"sites\.toml{error}"):
        loaded(text)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.toml")


# --- ssh's configuration --------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own; ``home(**files)`` writes files of ``~/.ssh``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    folder = tmp_path / ".ssh"
    folder.mkdir()

    def home(**files):
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    return home


CONFIG = """
# roles: nobody
Host web1 web2 *.example !web3
    HostName 10.0.0.1
    # roles: app, web
Host=db
    User ada   # roles: not, here
    #Roles: primary db-main

host "jump" # comment
Host *
    # roles: all
    Port 22
"""


def test_each_host_with_a_name_is_a_site_that_ssh_itself_finds(home):
    home(config=CONFIG)
    sites = from_ssh_config()
    assert sites.list() == ["web1", "web2", "db", "jump"]
    assert sites.get("web1").config == {"name": "web1", "host": "web1"}


def test_a_comment_in_a_hosts_block_gives_roles(home):
    home(config=CONFIG)
    sites = from_ssh_config()
    assert sites.get("web2").roles == ("web2", "app", "web")
    assert sites.get("db").roles == ("db", "primary", "db-main")
    assert sites.get("jump").roles == ("jump",)


def test_only_some_hosts_may_be_wanted_and_all_given_roles(home):
    home(config=CONFIG)
    assert from_ssh_config(hosts="web*").list() == ["web1", "web2"]
    assert from_ssh_config(hosts=["db", "!web* & !db"]).list() == ["db", "jump"]
    assert from_ssh_config(roles=["mine"]).list("mine") == ["web1", "web2", "db", "jump"]


def test_another_file_is_given_to_ssh_too(home, tmp_path):
    file = tmp_path / "other"
    file.write_text("Host a\n")
    (site,) = from_ssh_config(file)
    assert site.config == {"name": "a", "host": "a", "ssh_config": str(file)}
    home(config="Host a\n")
    (site,) = from_ssh_config(home() / "config")
    assert "ssh_config" not in site


def test_hosts_of_several_blocks_are_one_site(home):
    home(config="Host a b\n# roles: x\nHost b\n# roles: y\nHost a !a\n")
    sites = from_ssh_config()
    assert [site.roles for site in sites] == [("a", "x"), ("b", "x", "y")]


def test_included_files_are_read_from_the_folder_of_ssh(home, tmp_path):
    other = tmp_path / "abs"
    other.write_text("Host far\n")
    home(
        config=f'Include more* none "{other}"\nHost a\n', more1="Host b\n# roles: x\n",
        more2="Include deep\n", deep="Host c\n",
    )  # fmt: skip
    assert from_ssh_config().list() == ["b", "c", "far", "a"]
    assert from_ssh_config(tmp_path / ".ssh" / "config").list("x") == ["b"]


def test_what_a_hosts_block_includes_is_for_its_hosts_only(home):
    home(
        config="Host web*\n  Include sub\nMatch all\n  Include all\nMatch user x\n Include no\n",
        sub="Host web1 db1\nHost [a]\n", all="Host d\n", no="Host e\n",
    )  # fmt: skip
    assert from_ssh_config().list() == ["web1", "d"]


def test_files_that_include_themselves_are_an_error(home):
    home(config="Include config\n")
    with pytest.raises(ConfigError, match=f"{MAX_DEPTH} deep"):
        from_ssh_config()


def test_a_name_that_no_site_may_have_is_left_out_and_logged(home, caplog):
    home(config="Host a%b c\n")
    assert from_ssh_config().list() == ["c"]
    assert "'a%b'" in caplog.text


def test_a_role_that_cannot_be_names_its_line(home):
    home(config="Host a\n# roles: web*\n")
    with pytest.raises(ConfigError, match=r"config:2: roles='web\*'"):
        from_ssh_config()
    with pytest.raises(FileNotFoundError):
        from_ssh_config(home() / "none")
