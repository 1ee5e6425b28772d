"""Which vendors play: what people write is understood, what cannot be is said."""

from __future__ import annotations

import pytest

from deploy.local.choice import Choice, ChoiceRefused


def test_nothing_said_means_the_defaults() -> None:
    assert Choice.of().document() == {"crm": "salesforce", "psa": "kantata", "erp": "netsuite"}


def test_an_erp_of_its_own_for_a_legal_entity() -> None:
    choice = Choice.of(erp="netsuite,HC-DE=s4hana, HC-UK=s4hana")
    assert (choice.erp_of("HC-US"), choice.erp_of("HC-DE"), choice.erp_of("HC-UK")) == ("netsuite", "s4hana", "s4hana")
    assert choice.erps() == ("netsuite", "s4hana")
    assert Choice.of(**choice.document()) == choice


def test_an_erp_of_a_company_the_firm_does_not_have_is_refused() -> None:
    choice = Choice.of(erp="netsuite,HC-XX=s4hana")
    choice.refuse_strangers(["HC-XX", "HC-DE"])
    with pytest.raises(ChoiceRefused, match=r"HC-XX: the firm has no such legal entity; it has HC-DE, HC-UK"):
        choice.refuse_strangers(["HC-UK", "HC-DE"])


def test_one_vendor_may_play_every_role() -> None:
    assert Choice.of("tryton", "tryton", "tryton").vendors() == ("tryton",)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"crm": "salesfarce"}, "CRM=salesfarce: there is no such vendor"),
        ({"crm": "netsuite"}, "CRM=netsuite: netsuite plays erp, not crm"),
        ({"erp": "netsuite,s4hana"}, "only one may stand without a legal entity"),
        ({"erp": "netsuite,hc de=s4hana"}, "is not the code of a legal entity"),
        ({"erp": "netsuite,HC-DE=kantata"}, "ERP of HC-DE=kantata: kantata plays psa, not erp"),
    ],
)
def test_what_cannot_be_is_said(chosen: dict[str, str], named: str) -> None:
    with pytest.raises(ChoiceRefused, match=named):
        Choice.of(**chosen)
