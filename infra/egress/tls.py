"""TLS without a socket: what came in goes in, what must go out comes out.

So the bytes of a connection are counted where they arrive, before anything decrypts them, and a handshake ends with the
connection's own deadline.
"""

import ssl
from typing import Final

from infra.egress.errors import TLSFailed

_AT_ONCE: Final = 64 * 1024


class TLS:
    """The client's side of one connection.

    Args:
        name: whom the certificate must name: the host of the URL, which is also what SNI says.
    """

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self.established = False
        self.ended = False
        """Whether the other side has said that nothing more comes."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    def hello(self) -> bytes:
        """The first bytes to send."""
        self.receive(b"")
        return self._outgoing.read()

    def receive(self, data: bytes) -> bytes:
        """Take what came. Returns what it says, once decrypted; `pending` may have something to send afterwards.

        Raises:
            TLSFailed: the handshake failed, the certificate does not hold, or this is no TLS.
        """
        self._incoming.write(data)
        plain = b""
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            while part := self._object.read(_AT_ONCE):
                plain += part
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            raise TLSFailed(f"no TLS: the certificate does not hold ({error.verify_message})") from None
        except ssl.SSLError:
            raise TLSFailed("no TLS: the handshake failed" if not self.established else "TLS broke") from None
        return plain

    def pending(self) -> bytes:
        """What must go out now, if anything."""
        return self._outgoing.read()

    def encrypt(self, plain: bytes) -> bytes:
        """What to send so that it says this."""
        self._object.write(plain)
        return self._outgoing.read()
