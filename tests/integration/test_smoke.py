from tests.integration.conftest import Running

from certmint import Client, keys


def test_a_service_renews_its_own_certificate(running: Running) -> None:
    identity = running.enroll(dns_names=["renew.demo.test"])
    with Client(running.server.address, identity) as service:
        answer = service.sign_csr(keys.csr_der(keys.generate()))
    assert list(answer.certificate.dns_names) == ["renew.demo.test"]
    assert answer.certificate.requested_by == identity.spiffe_id
