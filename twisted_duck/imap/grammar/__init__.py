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
from twisted_duck.imap.grammar.listing import (
    List,
    ListReturn,
    ListSelect,
    Lsub,
    Status,
    StatusItem,
    XList,
)
from twisted_duck.imap.grammar.mailbox import (
    Check,
    Close,
    Create,
    Delete,
    Known,
    Rename,
    Select,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from twisted_duck.imap.grammar.quota import GetQuota, GetQuotaRoot, SetQuota
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
    "GetQuota",
    "GetQuotaRoot",
    "Id",
    "Idle",
    "Known",
    "List",
    "ListReturn",
    "ListSelect",
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
    "SetQuota",
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
    "XList",
    "announced",
    "parse",
    "tag_of",
]
