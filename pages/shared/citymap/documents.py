"""What Python knows of an edited map, under a key that is no widget's: page switches keep it."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pages.shared.citymap.component import is_new_here
from pages.shared.state import component_state, keep_tab

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Document(Generic[T]):
    """One edited map.

    Args:
        document_id: random; the browser's copy carries the same.
        token: what it was opened from; another token opens another document.
        revision: grows with each edit.
        content: what is painted.
        sent: the message that the browser last got from Python.
    """

    document_id: str
    token: str
    revision: int
    content: T
    sent: bytes


def open_document(
    key: str, token: str, content: T, encode: Callable[[str, int, T], bytes]
) -> Document[T]:
    """The document of a map: the one of the last run, or a new one.

    Args:
        key: of the map.
        token: digest of all that the document is made from.
        content: to begin with.
        encode: (document id, revision, content) -> message to the browser.
    """
    store, slot = component_state(), _slot(key)
    document = store.get(slot)
    if not isinstance(document, Document) or document.token != token:
        document_id = secrets.token_hex(8)
        document = Document(document_id, token, 0, content, encode(document_id, 0, content))
    elif is_new_here(key):
        # painted values go out again only now: echoing each stroke would undo the next one
        sent = encode(document.document_id, document.revision, document.content)
        document = replace(document, sent=sent)
    store[slot] = document
    return document


def take_edit(
    key: str,
    document: Document[T],
    edit: Mapping[str, Any] | None,
    decode: Callable[[Mapping[str, Any]], T | None],
) -> Document[T]:
    """The document after an edit; an old, foreign or malformed one changes nothing."""
    if edit is None or edit.get("document") != document.document_id:
        return document
    revision = edit.get("revision")
    if not isinstance(revision, int) or revision <= document.revision:
        return document
    content = decode(edit)
    if content is None:
        return document
    document = replace(document, revision=revision, content=content)
    component_state()[_slot(key)] = document
    keep_tab()
    return document


def cached_payload(key: str, token: str, encode: Callable[[], bytes]) -> bytes:
    """The message of a map that is only looked at, built again when its token changes."""
    store, slot = component_state(), _slot(key)
    kept = store.get(slot)
    if not isinstance(kept, tuple) or kept[0] != token:
        kept = (token, encode())
        store[slot] = kept
    payload: bytes = kept[1]
    return payload


def _slot(key: str) -> str:
    return f"citymap:{key}"
