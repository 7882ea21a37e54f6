// What an application does with imapflow: two connections, one that looks on and one that changes things.
//
//     node imapflow_session.cjs PORT USER PASSWORD CERTIFICATE
//
// It stands beside `node_modules`, and says what it saw as one object in JSON.

'use strict';

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const { ImapFlow } = require('imapflow');

const [port, user, pass, certificate] = process.argv.slice(2);

async function connect() {
    const client = new ImapFlow({
        host: '127.0.0.1',
        port: Number(port),
        secure: true,
        auth: { user, pass },
        tls: { ca: readFileSync(certificate), checkServerIdentity: () => undefined },
        qresync: true,
        disableAutoIdle: true,
        logger: false
    });
    await client.connect();
    return client;
}

const plain = message => ({
    seq: message.seq,
    uid: message.uid,
    flags: [...message.flags].filter(flag => flag !== '\\Recent').sort(),
    modseq: Number(message.modseq)
});

async function fetchAll(client, range, options = {}) {
    const found = [];
    for await (const message of client.fetch(range, { flags: true, uid: true }, { uid: true, ...options })) {
        found.push(plain(message));
    }
    return found;
}

// What was not changed, as the server says it.
async function addFlagUnchangedSince(client, range, flag, modseq) {
    const atom = value => ({ type: 'ATOM', value: String(value) });
    const condition = [atom('UNCHANGEDSINCE'), atom(modseq)];
    const answer = await client.exec('UID STORE', [{ type: 'SEQUENCE', value: range }, condition, atom('+FLAGS'), [atom(flag)]]);
    answer.next();
    const [code] = answer.response.attributes.filter(each => each.section);
    return code ? code.section.map(each => each.value) : [];
}

// An event, or the reason why there was none.
const soon = (client, name) => once(client, name, { signal: AbortSignal.timeout(10000) }).then(([event]) => event);

async function main() {
    const said = {};
    const watcher = await connect();
    const writer = await connect();
    said.enabled = [...watcher.enabled].sort();
    said.capabilities = [...watcher.capabilities.keys()].sort();

    const content = number => `From: ada@example.org\r\nSubject: message ${number}\r\n\r\ntext ${number}\r\n`;
    said.appended = [];
    for (let number = 1; number <= 6; number++) {
        said.appended.push((await writer.append('INBOX', content(number), number % 2 ? [] : ['\\Seen'])).uid);
    }

    const opened = await watcher.mailboxOpen('INBOX');
    // The object moves on with what it hears.
    const since = opened.highestModseq;
    said.exists = opened.exists;
    said.highest = Number(since);
    said.all = await fetchAll(watcher, '1:*');
    const { content: stream } = await watcher.download('2', undefined, { uid: true });
    const pieces = [];
    for await (const piece of stream) {
        pieces.push(piece);
    }
    said.downloaded = Buffer.concat(pieces).toString('latin1');
    said.searched = await watcher.search({ modseq: since }, { uid: true });

    // Of two conditional changes with the same modseq the second one must not be made.
    await writer.mailboxOpen('INBOX');
    said.first = await addFlagUnchangedSince(writer, '2', '\\Flagged', since);
    said.second = await addFlagUnchangedSince(watcher, '2', '\\Answered', since);
    // imapflow's own words have the condition behind the flags, which no grammar has: better nothing than without it.
    said.misplaced = await watcher.messageFlagsAdd('2', ['\\Draft'], { uid: true, unchangedSince: since });
    said.conditional = await fetchAll(writer, '2');

    // Only what was changed.
    said.changed = await fetchAll(watcher, '1:*', { changedSince: since });

    // IDLE: what the other connection does is told while it does it.
    const idling = watcher.idle();
    const flags = soon(watcher, 'flags');
    await writer.messageFlagsAdd('3', ['\\Flagged'], { uid: true });
    said.flags = plain(await flags);
    const exists = soon(watcher, 'exists');
    await writer.append('INBOX', content(7));
    said.grown = (({ count, prevCount }) => ({ count, prevCount }))(await exists);
    const expunge = soon(watcher, 'expunge');
    await writer.messageDelete('4', { uid: true });
    said.vanished = await expunge;
    await watcher.noop();
    await idling;

    // Back after a while, with what was known then.
    const known = { uidValidity: watcher.mailbox.uidValidity, changedSince: since };
    await watcher.mailboxClose();
    await writer.messageMove('5', 'Trash', { uid: true });
    said.missed = { gone: [], flags: [] };
    watcher.on('expunge', event => said.missed.gone.push([event.uid, event.earlier]));
    watcher.on('flags', event => said.missed.flags.push(plain(event)));
    const again = await watcher.mailboxOpen('INBOX', known);
    said.qresync = again.qresync;
    said.missed.gone.sort((one, other) => one[0] - other[0]);
    said.left = await fetchAll(watcher, '1:*');

    await watcher.logout();
    await writer.logout();
    console.log(JSON.stringify(said));
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
