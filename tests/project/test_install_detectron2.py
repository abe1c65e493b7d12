"""The installer of Detectron2: the choice of a source, the check of the archive, the messages."""

import hashlib
import importlib.util
import io
import tarfile

import pytest


@pytest.fixture
def installer(root):
    spec = importlib.util.spec_from_file_location("installer", root / "tools/install_detectron2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(installer, monkeypatch):
    """Names of what was installed; nothing really is, and nothing is there before."""
    names = []
    monkeypatch.setattr(installer, "installed_source", lambda: None)
    monkeypatch.setattr(installer, "pip_install", names.append)
    monkeypatch.setattr(installer, "install_from_index", lambda: names.append("index"))
    return names


def archive(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"detectron2_cdo-0.5/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_an_importable_one_is_kept(installer, monkeypatch, capsys):
    monkeypatch.setattr(installer, "installed_source", lambda: "index")
    monkeypatch.setattr(installer, "install_from_git", pytest.fail)
    monkeypatch.setattr(installer, "install_from_index", pytest.fail)
    assert installer.main([]) == installer.main(["--source", "index"]) == 0
    assert "keeping the installed one (source: index)" in capsys.readouterr().out


def test_what_an_interrupted_installation_left_is_not_kept(installer, monkeypatch, tmp_path):
    (tmp_path / "detectron2").mkdir()
    (tmp_path / "detectron2/__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def not_found(name):
        raise installer.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installer.importlib.metadata, "distribution", not_found)
    assert installer.installed_source() == "other"  # a checkout on the path, say
    monkeypatch.setattr(installer.sysconfig, "get_path", lambda name: str(tmp_path))
    assert installer.installed_source() is None


def test_auto_builds_the_pinned_commit_where_that_is_possible(installer, installed, monkeypatch):
    monkeypatch.setattr(installer, "git_obstacle", lambda: None)
    assert installer.main([]) == 0
    assert installed == [f"detectron2 @ git+{installer.GIT_URL}@{installer.GIT_COMMIT}"]


def test_auto_takes_the_index_else_and_says_why(installer, installed, monkeypatch, capsys):
    monkeypatch.setattr(installer, "git_obstacle", lambda: "no C++ compiler")
    assert installer.main([]) == 0
    assert installed == ["index"]
    output = capsys.readouterr().out
    assert "not from git (no C++ compiler)" in output
    assert "installed from index" in output


def test_an_explicit_source_is_not_replaced_by_the_other(installer, installed, monkeypatch, capsys):
    monkeypatch.setattr(installer, "git_obstacle", lambda: "it cannot be reached within 10 s")
    assert installer.main(["--source", "git"]) == 1
    assert installed == []
    assert "cannot be reached within 10 s" in capsys.readouterr().err


def test_an_archive_with_another_checksum_is_refused(installer, monkeypatch, capsys):
    monkeypatch.setattr(installer, "installed_source", lambda: None)
    monkeypatch.setattr(installer, "fetch_archive", lambda: b"something else")
    monkeypatch.setattr(installer, "pip_install", pytest.fail)
    assert installer.main(["--source", "index"]) == 1
    error = capsys.readouterr().err
    assert installer.INDEX_SHA256 in error
    assert hashlib.sha256(b"something else").hexdigest() in error


def test_without_a_network_it_says_what_it_could_not_reach(installer, monkeypatch, capsys):
    monkeypatch.setattr(installer, "installed_source", lambda: None)
    monkeypatch.setattr(installer, "index_url", lambda: "http://127.0.0.1:9/simple")
    assert installer.main(["--source", "index"]) == 1
    error = capsys.readouterr().err
    assert "cannot reach the package index at http://127.0.0.1:9/simple/detectron2-cdo/" in error
    assert "Traceback" not in error


def test_archive_becomes_pure_python(installer, monkeypatch):
    old = "a = np.bool\nb = np.int64\nc = Image.LINEAR\nd = np.float(1)\n"
    data = archive({"detectron2/old.py": old, "setup.py": "import torch", "setup.cfg": ""})
    monkeypatch.setattr(installer, "fetch_archive", lambda: data)
    monkeypatch.setattr(installer, "INDEX_SHA256", hashlib.sha256(data).hexdigest())
    seen = {}

    def look(source):
        folder = installer.Path(source)
        seen["files"] = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.*"))
        seen["old"] = (folder / "detectron2/old.py").read_text()

    monkeypatch.setattr(installer, "pip_install", look)
    installer.install_from_index()
    assert seen["files"] == ["detectron2/_C.py", "detectron2/old.py", "pyproject.toml"]
    assert seen["old"] == "a = bool\nb = np.int64\nc = Image.BILINEAR\nd = float(1)\n"


def test_the_stub_raises_a_clear_error_only_when_it_is_used(installer, tmp_path, monkeypatch):
    (tmp_path / "stub_module.py").write_text(installer.STUB)
    monkeypatch.syspath_prepend(tmp_path)
    import stub_module

    assert not stub_module.has_cuda()
    assert not hasattr(stub_module, "__path__")
    with pytest.raises(ImportError, match=r"deform_conv_forward needs .*--source git"):
        _ = stub_module.deform_conv_forward


def test_the_index_is_the_one_that_pip_uses(installer, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/mine")
    assert installer.index_url() == "http://127.0.0.1:9/mine"
