"""What each IMAP command does: one coroutine a command, in a module a family.

A handler is given the connection and the command's value.  It says what there is to say with `connection.send`, and
answers the `Done` that becomes the tagged response; an error of `twisted_duck.errors` becomes NO or BAD.
"""

from __future__ import annotations

from twisted_duck.connection import Rule
from twisted_duck.imap import grammar
from twisted_duck.imap.commands import (
    append,
    fetch,
    idle,
    listing,
    mailbox,
    message,
    quota,
    search,
    session,
    sort,
    thread,
)
from twisted_duck.imap.commands.base import (
    AUTHENTICATED,
    NOT_AUTHENTICATED,
    SELECTED,
)

ANY = frozenset({NOT_AUTHENTICATED, AUTHENTICATED, SELECTED})
BEFORE_LOGIN = frozenset({NOT_AUTHENTICATED})
AFTER_LOGIN = frozenset({AUTHENTICATED, SELECTED})
IN_MAILBOX = frozenset({SELECTED})


TABLE: dict[type, Rule] = {
    grammar.Capability: Rule(ANY, session.capability),
    grammar.Noop: Rule(ANY, session.noop),
    grammar.Logout: Rule(ANY, session.logout),
    grammar.Id: Rule(ANY, session.identify),
    grammar.StartTLS: Rule(BEFORE_LOGIN, session.start_tls),
    grammar.Login: Rule(BEFORE_LOGIN, session.login),
    grammar.Authenticate: Rule(BEFORE_LOGIN, session.authenticate),
    grammar.Namespace: Rule(AFTER_LOGIN, session.namespace),
    grammar.Enable: Rule(AFTER_LOGIN, session.enable),
    grammar.Compress: Rule(AFTER_LOGIN, session.compress),
    grammar.Idle: Rule(AFTER_LOGIN, idle.idle),
    grammar.Select: Rule(AFTER_LOGIN, mailbox.select),
    grammar.Create: Rule(AFTER_LOGIN, mailbox.create),
    grammar.Delete: Rule(AFTER_LOGIN, mailbox.delete),
    grammar.Rename: Rule(AFTER_LOGIN, mailbox.rename),
    grammar.Subscribe: Rule(AFTER_LOGIN, mailbox.subscribe),
    grammar.Unsubscribe: Rule(AFTER_LOGIN, mailbox.unsubscribe),
    grammar.List: Rule(AFTER_LOGIN, listing.list_),
    grammar.Lsub: Rule(AFTER_LOGIN, listing.lsub),
    grammar.XList: Rule(AFTER_LOGIN, listing.xlist),
    grammar.Status: Rule(AFTER_LOGIN, listing.status),
    grammar.GetQuota: Rule(AFTER_LOGIN, quota.get_quota),
    grammar.GetQuotaRoot: Rule(AFTER_LOGIN, quota.get_quota_root),
    grammar.SetQuota: Rule(AFTER_LOGIN, quota.set_quota),
    grammar.Append: Rule(AFTER_LOGIN, append.append),
    grammar.Check: Rule(IN_MAILBOX, session.check),
    grammar.Close: Rule(IN_MAILBOX, mailbox.close),
    grammar.Unselect: Rule(IN_MAILBOX, mailbox.unselect),
    grammar.Expunge: Rule(IN_MAILBOX, message.expunge),
    grammar.Search: Rule(IN_MAILBOX, search.search),
    grammar.Sort: Rule(IN_MAILBOX, sort.sort),
    grammar.Thread: Rule(IN_MAILBOX, thread.thread),
    grammar.Unsearchable: Rule(IN_MAILBOX, search.unsearchable),
    grammar.Store: Rule(IN_MAILBOX, message.store),
    grammar.Copy: Rule(IN_MAILBOX, message.copy),
    grammar.Move: Rule(IN_MAILBOX, message.move),
    grammar.Replace: Rule(IN_MAILBOX, append.replace),
    grammar.Fetch: Rule(IN_MAILBOX, fetch.fetch),
}

#: What can be done with nothing but the selected mailbox.
ONLY_SELECTED = frozenset(kind for kind, rule in TABLE.items() if rule.states == IN_MAILBOX)
