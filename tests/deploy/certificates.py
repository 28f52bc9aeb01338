"""Authorities and certificates for tests, made anew for each run."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority that writes PEM files into `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), self.key, name, ca=True)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, hosts: tuple[str, ...] = (), days: float = 1) -> tuple[Path, Path, str]:
        """(certificate file, key file, SHA-256 of the certificate in hex). Without `hosts` it is for the names of the tests."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key.public_key(), self.key, self.name, ca=False, hosts=hosts, days=days)
        crt, pem = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return crt, pem, hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    @staticmethod
    def _sign(
        subject: str, public_key, signer, issuer: str, *, ca: bool, hosts: tuple[str, ...] = (), days: float = 1
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)

        def as_name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        names = [x509.DNSName(host) for host in hosts] or [
            x509.DNSName("lgsp.example"),
            x509.DNSName("gateway.lgsp.example"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        return (
            x509.CertificateBuilder()
            .subject_name(as_name(subject)).issuer_name(as_name(issuer)).public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(signer, hashes.SHA256())
        )  # fmt: skip
