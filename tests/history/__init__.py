"""Nothing is lost: what clients were answered, held against what is there in the end, however often processes die.

record       what clients asked and were answered, and when
checker      what of that can't be true, given what is there: no server, no clock, no chance
writer       an LMTP client that keeps a record
reader       an IMAP client that does
messages     what they store
cluster      three server processes on a replica set of three, and how they are killed
summary      a run in a few lines
running      all of it together
test_checker     made-up histories: each kind of loss is found
test_history     a minute's worth, in every test run
long_run         ten thousand deliveries: `tox -e history`
"""
