import pytest

from engine.compute import ComputeSettings, Device
from engine.compute.settings import parse_device, parse_memory
from engine.errors import InputError


def test_nothing_set_means_workers_on_this_computer():
    settings = ComputeSettings.from_environment({})
    assert (settings.scheduler, settings.tls, settings.device) == ("", None, Device.AUTO)


def test_everything_can_be_set(tmp_path):
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("x")
    settings = ComputeSettings.from_environment(
        {
            "CITYBRUSH_SCHEDULER": "tls://cluster.example:8786",
            "CITYBRUSH_TLS_CA": str(tmp_path / "ca"),
            "CITYBRUSH_TLS_CERT": str(tmp_path / "cert"),
            "CITYBRUSH_TLS_KEY": str(tmp_path / "key"),
            "CITYBRUSH_DEVICE": "CUDA",
            "CITYBRUSH_WORKERS": "3",
            "CITYBRUSH_WORKER_MEMORY": "1.5 GiB",
        }
    )
    assert settings.scheduler == "tls://cluster.example:8786"
    assert settings.tls is not None
    assert settings.tls.key == tmp_path / "key"
    assert settings.device is Device.CUDA
    assert settings.num_workers == 3
    assert settings.worker_memory_bytes == 1536 * 2**20


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"CITYBRUSH_SCHEDULER": "cluster"}, "CITYBRUSH_SCHEDULER=cluster"),
        ({"CITYBRUSH_SCHEDULER": "tls://a:1"}, "needs certificates"),
        ({"CITYBRUSH_TLS_CA": "/tmp"}, "CITYBRUSH_TLS_CERT, CITYBRUSH_TLS_KEY"),
        (
            {f"CITYBRUSH_TLS_{name}": "/nowhere/x" for name in ("CA", "CERT", "KEY")},
            "/nowhere/x",
        ),
        ({"CITYBRUSH_DEVICE": "gpu"}, "no device 'gpu'"),
        ({"CITYBRUSH_WORKERS": "many"}, "CITYBRUSH_WORKERS"),
        ({"CITYBRUSH_WORKERS": "0"}, "between 1 and 64"),
        ({"CITYBRUSH_WORKER_MEMORY": "much"}, "CITYBRUSH_WORKER_MEMORY"),
        ({"CITYBRUSH_WORKER_MEMORY": "10MB"}, "384 MiB"),
    ],
)
def test_what_is_not_understood_is_named(environ, says):
    with pytest.raises(InputError) as caught:
        ComputeSettings.from_environment(environ)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("800 mb", 800_000_000), ("4000000000", 4_000_000_000), ("5B", 5)],
)
def test_memory(text, size):
    assert parse_memory(text, "here") == size


def test_devices():
    assert parse_device(" Auto ", "here") is Device.AUTO
