"""An application with mail of its own, as one writes it for `twisted.mail`: people's notes as messages.

Nothing here knows of Twisted Duck; `serve_notes.py` serves it.
"""

from io import BytesIO

from twisted.cred import checkers, credentials, error, portal
from twisted.mail import imap4
from zope.interface import implementer

PEOPLE = {b"ada": (b"secret", ["Buy milk", "Call the engine maker"]), b"bob": (b"hidden", [])}


@implementer(imap4.IMessage, imap4.IMessageFile)
class Note:
    def __init__(self, uid, content, flags, date):
        self.uid, self.content, self.flags, self.date = uid, content, list(flags), date

    def getUID(self):
        return self.uid

    def getFlags(self):
        return self.flags

    def getInternalDate(self):
        return self.date or b"01-Jan-2024 12:00:00 +0000"

    def getSize(self):
        return len(self.content)

    def open(self):
        return BytesIO(self.content)

    def getBodyFile(self):
        return BytesIO(self.content.partition(b"\r\n\r\n")[2])

    def getHeaders(self, negate, *names):
        return {"subject": "a note"}

    def isMultipart(self):
        return False

    def getSubPart(self, part):
        return None


@implementer(imap4.IMailbox)
class Notebook:
    def getFlags(self):
        return ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]

    def getHierarchicalDelimiter(self):
        return "/"

    def getUIDValidity(self):
        return 1

    def getUIDNext(self):
        return self.next

    def getUID(self, number):
        return self.notes[number - 1].uid

    def getMessageCount(self):
        return len(self.notes)

    def getRecentCount(self):
        return 0

    def getUnseenCount(self):
        return sum("\\Seen" not in note.flags for note in self.notes)

    def isWriteable(self):
        return True

    def destroy(self):
        return None

    def requestStatus(self, names):
        return imap4.statusRequestHelper(self, names)

    def __init__(self):
        self.notes, self.next, self.listeners = [], 1, []
        self.addListener, self.removeListener = self.listeners.append, self.listeners.remove

    def addMessage(self, file, flags=(), date=None):
        self.notes.append(Note(self.next, file.read(), flags, date))
        self.next += 1
        for listener in self.listeners:
            listener.newMessages(len(self.notes), None)
        return imap4.defer.succeed(self.next - 1)

    def fetch(self, messages, uid):
        messages.last = self.next - 1 if uid else len(self.notes)
        numbered = enumerate(self.notes, 1)
        return [(n, note) for n, note in numbered if (note.uid if uid else n) in messages]

    def store(self, messages, flags, mode, uid):
        found = self.fetch(messages, uid)
        for _, note in found:
            kept = [flag for flag in note.flags if flag not in flags] if mode else []
            note.flags = kept + list(flags) if mode >= 0 else kept
        return {number: note.flags for number, note in found}

    def expunge(self):
        gone = [n for n, note in enumerate(self.notes, 1) if "\\Deleted" in note.flags]
        self.notes = [note for note in self.notes if "\\Deleted" not in note.flags]
        return gone[::-1]


class NotesAccount(imap4.MemoryAccount):
    def _emptyMailbox(self, name, id):
        return Notebook()


@implementer(checkers.ICredentialsChecker, portal.IRealm)
class NotesApplication:
    """Its own checker and realm."""

    credentialInterfaces = (credentials.IUsernamePassword,)

    def __init__(self):
        self.accounts = {}
        for name, (_, notes) in PEOPLE.items():
            account = self.accounts[name] = NotesAccount(name.decode())
            account.addMailbox("INBOX")
            for note in notes:
                content = f"Subject: {note}\r\n\r\n{note}\r\n".encode()
                account.select("INBOX").addMessage(BytesIO(content))

    def requestAvatarId(self, given):
        if given.username in PEOPLE and given.checkPassword(PEOPLE[given.username][0]):
            return given.username
        raise error.UnauthorizedLogin("nobody we know")

    def requestAvatar(self, avatarId, mind, *interfaces):
        if imap4.IAccount not in interfaces:
            raise NotImplementedError(interfaces)
        return imap4.IAccount, self.accounts[avatarId], lambda: None
