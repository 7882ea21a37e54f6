"""`twistd duckmail`: names the module that makes the service, so that listing plugins imports nothing of it."""

from twisted.application.service import ServiceMaker

duckmail = ServiceMaker(
    "Twisted Duck",
    "twisted_duck.service.maker",
    "A mail server: IMAP, POP3 and LMTP on a MongoDB mail store.",
    "duckmail",
)
