"""One complete IMAP command's bytes into one frozen value.

    parts -> parse() -> Command(tag, name, value=Login(...) | Fetch(...) | ...)

There is one module a command family: its values, their parsers, and a table of these by command
name. An extension adds a field to a value, a line to a table, or a family.
"""

from twisted_duck.imap.grammar.append import Announced, Append, AppendArgument, Replace
from twisted_duck.imap.grammar.command import Command, announced, parse, tag_of
from twisted_duck.imap.grammar.cursor import Literal
from twisted_duck.imap.grammar.fetch import (
    Attribute,
    BinarySize,
    Fetch,
    FetchBinary,
    FetchBody,
    FetchContent,
    FetchItem,
    Partial,
)
from twisted_duck.imap.grammar.mailbox import (
    Check,
    Close,
    Create,
    Delete,
    Known,
    List,
    Lsub,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from twisted_duck.imap.grammar.search import (
    Criterion,
    Returns,
    Search,
    Sort,
    Thread,
    Unsearchable,
)
from twisted_duck.imap.grammar.session import (
    Authenticate,
    Capability,
    Compress,
    Enable,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTLS,
)
from twisted_duck.imap.grammar.store import Copy, Expunge, Move, Store
from twisted_duck.imap.grammar.terms import Page

__all__ = [
    "Announced",
    "Append",
    "AppendArgument",
    "Attribute",
    "Authenticate",
    "BinarySize",
    "Capability",
    "Check",
    "Close",
    "Command",
    "Compress",
    "Copy",
    "Create",
    "Criterion",
    "Delete",
    "Enable",
    "Expunge",
    "Fetch",
    "FetchBinary",
    "FetchBody",
    "FetchContent",
    "FetchItem",
    "Id",
    "Idle",
    "Known",
    "List",
    "Literal",
    "Login",
    "Logout",
    "Lsub",
    "Move",
    "Namespace",
    "Noop",
    "Page",
    "Partial",
    "Rename",
    "Replace",
    "Returns",
    "Search",
    "Select",
    "Sort",
    "StartTLS",
    "Status",
    "StatusItem",
    "Store",
    "Subscribe",
    "Thread",
    "Unsearchable",
    "Unselect",
    "Unsubscribe",
    "announced",
    "parse",
    "tag_of",
]
