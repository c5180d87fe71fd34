"""The committed bundle: from these sources, small enough, licences listed. Needs no Node."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "assets" / "citymap"
DIST = FOLDER / "dist"
MAX_BYTES = 1_600_000
FIX = "run `npm ci && npm run build` in assets/citymap and commit dist"


def source_hash(folder: Path) -> str:
    """As build.mjs computes it."""
    names = [
        f"src/{path.name}" for path in sorted((folder / "src").iterdir(), key=lambda p: p.name)
    ]
    names += ["build.mjs", "package.json", "package-lock.json"]
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + (folder / name).read_bytes() + b"\0")
    return digest.hexdigest()


def test_the_bundle_is_built_from_these_sources():
    build = json.loads((DIST / "build.json").read_text("utf-8"))
    assert build["sha256"] == source_hash(FOLDER), f"the bundle is stale: {FIX}"
    script = (DIST / "citymap.js").read_text("utf-8")
    assert build["sha256"] in script, f"citymap.js is not the one that build.json describes: {FIX}"
    assert build["bytes"] == len(script.encode())


def test_a_changed_source_is_noticed(tmp_path):
    for path in [*(FOLDER / "src").iterdir(), FOLDER / "build.mjs", *FOLDER.glob("package*.json")]:
        copy = tmp_path / path.relative_to(FOLDER)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert source_hash(tmp_path) == source_hash(FOLDER)
    (tmp_path / "src" / "tools.js").write_text("// changed", "utf-8")
    assert source_hash(tmp_path) != source_hash(FOLDER)


def test_the_bundle_is_small_and_fetches_nothing():
    script = (DIST / "citymap.js").read_bytes()
    assert len(script) <= MAX_BYTES
    assert len((DIST / "citymap.css").read_bytes()) < 40_000
    assert b"@import" not in (DIST / "citymap.css").read_bytes()
    assert b"url(" not in (DIST / "citymap.css").read_bytes()


def test_each_bundled_package_has_its_licence():
    text = (DIST / "LICENSES.txt").read_text("utf-8")
    listed = dict(re.findall(r"^(\S+) \S+: (.+)$", text, re.MULTILINE))
    assert {"@deck.gl/core", "@deck.gl/layers", "@luma.gl/webgl", "lucide-static"} <= set(listed)
    permissive = {"MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "(MIT AND Zlib)"}
    assert set(listed.values()) <= permissive
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    for name in listed:
        assert f"node_modules/{name}" in lock["packages"]
