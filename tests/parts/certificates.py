"""A certificate authority of the tests' own, and a server's certificate signed by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> Path:
    """Make a certificate authority and a certificate of 127.0.0.1; return the authority's file.

    The files are `ca.crt`, `server.crt` and `server.key`.
    """

    def make(name: str, issuer: x509.Name | None, signer: Any, key: Any) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=7))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = make("Strongroom's tests", None, root, root)
    certificate = make("127.0.0.1", authority.subject, root, own)
    encoding = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(authority.public_bytes(encoding))
    (folder / "server.crt").write_bytes(certificate.public_bytes(encoding))
    (folder / "server.key").write_bytes(
        own.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.crt"
