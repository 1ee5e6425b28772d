"""The customer account service (SOAP): what makes a party a customer that can be billed."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from starlette.responses import Response

from deploy.sandbox.oracle_fusion.schema import RESOURCES
from deploy.sandbox.oracle_fusion.state import Pod, Row

PATH = "/crmService/CustomerAccountService"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = "http://xmlns.oracle.com/apps/cdm/foundation/parties/customerAccountService/"
TYPES = SERVICE + "applicationModule/types/"
_CONTENT = "text/xml; charset=utf-8"


class SoapFault(Exception):
    """The service refuses; the text is the fault string."""


def fault(text: str) -> Response:
    """A fault on the wire."""
    body = (
        f'<env:Envelope xmlns:env="{ENVELOPE}"><env:Header/><env:Body><env:Fault><faultcode>env:Server</faultcode>'
        f"<faultstring>{escape(text)}</faultstring></env:Fault></env:Body></env:Envelope>"
    )
    return Response(body, 500, media_type=_CONTENT)


class CustomerAccounts:
    """Answers `mergeCustomerAccount`."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod

    def answer(self, content: bytes) -> Response:
        """One envelope in, one out."""
        try:
            envelope = ET.fromstring(content)  # noqa: S314 - a simulator on the loopback
        except ET.ParseError as error:
            return fault(f"JBO-29000: The envelope cannot be read: {error}")
        merge = envelope.find(f"{{{ENVELOPE}}}Body/{{{TYPES}}}mergeCustomerAccount/{{{TYPES}}}customerAccount")
        if merge is None:
            return fault("JBO-29000: The operation is not offered.")
        try:
            account = self._merge(merge)
        except SoapFault as refusal:
            return fault(str(refusal))
        return Response(self._answered(account), media_type=_CONTENT)

    @staticmethod
    def _answered(account: Row) -> str:
        values = {
            "CustomerAccountId": account["AccountId"],
            "PartyId": account["CustomerId"],
            "AccountNumber": account["AccountNumber"],
        }
        inner = "".join(f"<s:{name}>{escape(str(value))}</s:{name}>" for name, value in values.items())
        return (
            f'<env:Envelope xmlns:env="{ENVELOPE}"><env:Header/><env:Body>'
            f'<t:mergeCustomerAccountResponse xmlns:t="{TYPES}"><t:result xmlns:s="{SERVICE}">'
            f"<s:Value>{inner}</s:Value></t:result></t:mergeCustomerAccountResponse></env:Body></env:Envelope>"
        )

    def _merge(self, given: ET.Element) -> Row:
        party = self._party(_text(given, "PartyId"))
        account = self._account(given, party)
        for site in given.findall(f"{{{SERVICE}}}CustomerAccountSite"):
            self._site(site, account, party)
        return account

    def _party(self, number: str) -> Row:
        for organization in self._pod.tables["hubOrganizations"].values():
            if str(organization["PartyId"]) == number:
                return organization
        raise SoapFault(f"JBO-25020: View row of key PartyId {number} is not found.")

    def _account(self, given: ET.Element, party: Row) -> Row:
        resource = RESOURCES["receivablesCustomerAccountActivities"]
        if number := _text(given, "CustomerAccountId"):
            held = self._pod.tables[resource.name].get(int(number))
            if held is None:
                raise SoapFault("JBO-25020: The customer account is not found.")
            return held
        name = _text(given, "AccountNumber")
        if not name:
            raise SoapFault("JBO-27014: Attribute AccountNumber is required.")
        if self._pod.one(resource.name, AccountNumber=name):
            raise SoapFault(f"JBO-26048: The account number {name} is used by another account.")
        values = {"AccountNumber": name, "CustomerName": party["OrganizationName"], "CustomerId": party["PartyId"]}
        return self._pod.insert(resource, {**values, "standardReceiptApplications": []})

    def _site(self, given: ET.Element, account: Row, party: Row) -> None:
        number, set_id = _text(given, "PartySiteId"), _text(given, "SetId")
        if number not in {str(address["AddressId"]) for address in party["Address"]}:
            raise SoapFault(f"JBO-25020: The party site {number} is not found.")
        for use in given.findall(f"{{{SERVICE}}}CustomerAccountSiteUse"):
            row: dict[str, Any] = {
                "CustomerAccountId": account["AccountId"],
                "AccountNumber": account["AccountNumber"],
                "PartyId": party["PartyId"],
                "PartyNumber": party["PartyNumber"],
                "CustomerAccountSiteId": self._pod.new_id(),
                "SetId": int(set_id) if set_id else None,
                "SiteUseCode": _text(use, "SiteUseCode"),
                "SiteNumber": f"S{self._pod.number('site')}",
            }
            self._pod.insert(RESOURCES["customerAccountSitesLOV"], row)


def _text(node: ET.Element, name: str) -> str:
    return (node.findtext(f"{{{SERVICE}}}{name}") or "").strip()
