"""Our certificates, judged by an implementation that isn't ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from swarmd.ca.core.subject import Subject
from swarmd.ca.credentials import NodeCredentials
from swarmd.ca.keystore import Keystore
from swarmd.ca.x509 import Signer, make_request
from swarmd.model.ids import NodeId
from swarmd.model.instant import HOUR
from swarmd.model.states import Role
from tests.support.certs import CLUSTER, issue, make_ca, wall_now

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def openssl(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["openssl", *map(str, arguments)], input=data, capture_output=True, check=False
    )


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_accepts_node_certificates_strictly(tmp_path: Path, purpose: str) -> None:
    pair = issue(make_ca(), "node1", Role.MANAGER)
    root = write(tmp_path / "root.pem", pair.root_pem)
    cert = write(tmp_path / "cert.pem", pair.cert_pem)
    common = ("verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", root)
    for name in ("swarm-manager", "swarm-ca", "node1"):
        done = openssl(*common, "-verify_hostname", name, cert)
        assert done.returncode == 0, done.stderr
    assert openssl(*common, "-verify_hostname", "swarm-worker", cert).returncode != 0


def test_openssl_refuses_a_certificate_of_another_root(tmp_path: Path) -> None:
    pair = issue(make_ca(), "node1")
    root = write(tmp_path / "root.pem", make_ca().cert_pem)
    cert = write(tmp_path / "cert.pem", pair.cert_pem)
    assert openssl("verify", "-CAfile", root, cert).returncode != 0


def test_openssl_verifies_our_requests(tmp_path: Path) -> None:
    pair = issue(make_ca(), "node1")
    done = openssl("req", "-verify", "-noout", data=make_request(pair.key_pem))
    assert done.returncode == 0, done.stderr


def test_a_request_made_by_openssl_is_signed_with_our_subject(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    made = openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=swarm-ca/OU=swarm-manager/O=evil", "-keyout", key,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    subject = Subject(node_id=NodeId("node2"), role=Role.WORKER, cluster_id=CLUSTER)
    cert_pem = Signer(make_ca()).sign(made.stdout, subject, now=wall_now(), life_ns=HOUR)
    shown = openssl("x509", "-noout", "-subject", "-nameopt", "RFC2253", data=cert_pem)
    assert shown.stdout.decode().strip() == f"subject=CN=node2,OU=swarm-worker,O={CLUSTER}"


def test_a_sealed_key_opens_in_openssl_with_the_unlock_keys_text(tmp_path: Path) -> None:
    pair = issue(make_ca(), "node1")
    credentials = NodeCredentials.checked(
        root_pem=pair.root_pem, cert_pem=pair.cert_pem, key_pem=pair.key_pem, now=None
    )
    Keystore(tmp_path / "c").save(credentials, kek=bytes(32))
    key = tmp_path / "c" / "swarm-node.key"
    password = "A" * 43
    done = openssl("pkey", "-in", key, "-passin", f"pass:{password}")
    assert done.returncode == 0, done.stderr
    assert openssl("pkey", "-in", key, "-passin", "pass:wrong").returncode != 0
