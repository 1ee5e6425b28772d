"""Creating, changing and deleting rows with the vendor's checks; each write can be rolled back until committed."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.salesforce.automation import SALES_CLOUD, Automation, defaults
from deploy.sandbox.salesforce.changes import Caller, ChangeFeed
from deploy.sandbox.salesforce.errors import (
    SalesforceError,
    duplicate_value,
    malformed_id,
    malformed_json,
    missing_fields,
    no_such_column,
    not_found,
    unknown_reference,
)
from deploy.sandbox.salesforce.ids import normal_id
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.schema import Field, SObject
from deploy.sandbox.salesforce.values import Value, from_json

Body = dict[str, Any]


class Writes:
    """The only hands on the rows."""

    def __init__(self, records: Records, feed: ChangeFeed, automation: Automation = SALES_CLOUD) -> None:
        """Writes go to `records`, their events to `feed`; `automation` checks and completes them."""
        self.records = records
        self.schema = records.schema
        self.feed = feed
        self._automation = automation

    def mark(self) -> tuple[int, int]:
        """A point to roll back to."""
        return self.records.savepoint(), self.feed.mark()

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Undo everything since the point, events included."""
        self.records.roll_back(mark[0])
        self.feed.roll_back(mark[1])

    def commit(self) -> None:
        """Make everything since the last commit final and send its events."""
        self.records.commit()
        self.feed.commit()

    def create(self, sobject: SObject, body: Body, caller: Caller) -> str:
        """A new row's id. Raises SalesforceError."""
        given = self._given(sobject, body, is_new=True)
        row = {**defaults(self.records, sobject, caller.user_id), **given}
        row.pop("Id", None)
        if empty := [f.name for f in sobject.shown if f.required and row.get(f.name) is None]:
            raise missing_fields(empty)
        self._automation.before(self.records, sobject.name, row, given)
        self._check_unique(sobject, row, given)
        now = self.records.now()
        record_id = self.records.new_id(sobject)
        row |= {"Id": record_id, "CreatedDate": now, "CreatedById": caller.user_id}
        row |= {"LastModifiedDate": now, "LastModifiedById": caller.user_id, "SystemModstamp": now}
        self.records.insert(sobject.name, row)
        if sobject.name == "OpportunityLineItem":
            self._flag_lines(row["OpportunityId"], has=True)
        self.feed.note(sobject, "CREATE", caller, row, [])
        self._automation.after(self, sobject.name, row, None, caller)
        return record_id

    def update(self, sobject: SObject, record_id: str, body: Body, caller: Caller) -> None:
        """Change a row. Raises SalesforceError."""
        row = self.living(sobject, record_id)
        if row["Id"] in self.records.locked and caller.user_id not in self._automation.unlocked(self.records):
            raise SalesforceError(400, "ENTITY_IS_LOCKED", "entity is locked for editing", [])
        given = self._given(sobject, body, is_new=False)
        if empty := [name for name, value in given.items() if value is None and sobject.fields[name].required]:
            raise missing_fields(empty)
        target = {**row, **given}
        self._automation.before(self.records, sobject.name, target, given)
        self._check_unique(sobject, target, given)
        before = dict(row)
        changes = {name: value for name, value in target.items() if row[name] != value}
        self._stamped(sobject, row, changes, caller)
        self._automation.after(self, sobject.name, row, before, caller)

    def create_by_itself(self, sobject: SObject, values: Row, caller: Caller) -> str:
        """A row that the platform or a package makes by itself, past every check; its id."""
        row = {**defaults(self.records, sobject, caller.user_id), **values}
        now, record_id = self.records.now(), self.records.new_id(sobject)
        row |= {"Id": record_id, "CreatedDate": now, "CreatedById": caller.user_id}
        row |= {"LastModifiedDate": now, "LastModifiedById": caller.user_id, "SystemModstamp": now}
        self.records.insert(sobject.name, row)
        self.feed.note(sobject, "CREATE", caller, row, [])
        return record_id

    def set_by_itself(self, sobject: SObject, record_id: str, changes: Row, caller: Caller) -> None:
        """The platform's or a package's own change of a row, past every check."""
        row = self.living(sobject, record_id)
        changes = {name: value for name, value in changes.items() if row[name] != value}
        if changes:
            self._stamped(sobject, row, changes, caller)

    def _stamped(self, sobject: SObject, row: Row, changes: Row, caller: Caller) -> None:
        changed = [*changes, "LastModifiedDate"]
        now = self.records.now()
        changes |= {"LastModifiedDate": now, "LastModifiedById": caller.user_id, "SystemModstamp": now}
        self.records.change(sobject.name, str(row["Id"]), changes)
        self.feed.note(sobject, "UPDATE", caller, row, changed)

    def delete(self, sobject: SObject, record_id: str, caller: Caller) -> None:
        """Move a row and the rows that belong to it to the recycle bin."""
        row = self.living(sobject, record_id)
        if sobject.is_setup:
            raise SalesforceError(400, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id", [])
        self._automation.before_delete(self.records, sobject.name, row)
        now = self.records.now()
        changes: Row = {"IsDeleted": True, "LastModifiedDate": now, "SystemModstamp": now}
        for child, reference in sobject.children.values():
            if self.schema[child].fields[reference].required:
                for dependent in self.records.children(child, reference, row["Id"]):
                    self.delete(self.schema[child], str(dependent["Id"]), caller)
        self.records.remove(sobject.name, str(row["Id"]), changes)
        self.feed.note(sobject, "DELETE", caller, {**row, **changes}, [])
        if sobject.name == "OpportunityLineItem":
            self._line_gone(row["OpportunityId"], caller)

    def find_external(self, sobject: SObject, name: str, value: Any) -> list[str]:
        """Ids of the rows with that value of an external id. Raises SalesforceError."""
        field = sobject.find(name)
        if field is None or not (field.external or field.name == "Id"):
            raise not_found("Provided external ID field does not exist or is not accessible: " + name)
        wanted = from_json(field, value)
        if field.name == "Id":
            return [str(wanted)] if self.records.get(sobject.name, wanted) else []
        return self.records.tables[sobject.name].find(field.name, wanted)

    def upsert(self, sobject: SObject, name: str, value: Any, body: Body, caller: Caller) -> tuple[str, bool]:
        """Change the row with that external id or make it: its id and whether it was made."""
        field = sobject.find(name)
        found = self.find_external(sobject, name, value)
        if field is None or {"Id", field.name} & body.keys():
            text = f"The {name} field should not be specified in the sobject data."
            raise SalesforceError(400, "INVALID_FIELD", text, [name])
        if len(found) > 1:
            links = [f"/services/data/v{caller.version}/sobjects/{sobject.name}/{record_id}" for record_id in found]
            raise SalesforceError(300, "MULTIPLE_CHOICES", "The value stands on several rows.", body=links)
        if found:
            self.update(sobject, found[0], body, caller)
            return found[0], False
        key = {} if field.name == "Id" else {field.name: value}
        return self.create(sobject, {**body, **key}, caller), True

    def living(self, sobject: SObject, record_id: str) -> Row:
        """The row of that id, in either form. Raises SalesforceError."""
        normal = normal_id(record_id)
        if normal is None:
            raise not_found("Provided external ID field does not exist or is not accessible: " + record_id)
        if row := self.records.get(sobject.name, normal):
            return row
        if normal in self.records.tables[sobject.name].deleted:
            raise SalesforceError(404, "ENTITY_IS_DELETED", "entity is deleted", [])
        raise not_found()

    def _given(self, sobject: SObject, body: Body, *, is_new: bool) -> Row:
        given: Row = {}
        refused: list[str] = []
        for name, value in body.items():
            if name == "attributes":
                continue
            field = sobject.find(name)
            if field is None:
                field, value = self._by_relation(sobject, name, value)  # noqa: PLW2901 - the relation names both anew
            elif isinstance(value, (dict, list)):
                raise malformed_json(f"Unexpected object value for field {name} at [line:1, column:1]")
            if not (field.createable if is_new else field.updateable):
                refused.append(field.name)
                continue
            given[field.name] = self._checked(field, from_json(field, value))
        if refused:
            text = f"Unable to create/update fields: {', '.join(refused)}. Please check the security settings of this "
            text += "field and verify that it is read/write for your profile or permission set."
            raise SalesforceError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", text, refused)
        return given

    def _by_relation(self, sobject: SObject, name: str, value: Any) -> tuple[Field, Any]:
        """`"Account": {"Reference__c": "…"}` sets AccountId by the parent's external id."""
        field = sobject.parent(name)
        if field is None or field.target is None:
            raise no_such_column(name, sobject.name)
        keys: Body = {k: v for k, v in value.items() if k != "attributes"} if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON
        if len(keys) != 1:
            raise malformed_json(f"Unexpected value for relation {name} at [line:1, column:1]")
        [(key, wanted)] = keys.items()
        found = self.find_external(self.schema[field.target], key, wanted)
        if len(found) != 1:
            text = f"Foreign key external ID: {wanted} not found for field {key} in entity {field.target}"
            raise SalesforceError(400, "INVALID_FIELD", text, [])
        return field, found[0]

    def _checked(self, field: Field, value: Value) -> Value:
        if field.kind != "reference" or value is None or field.target is None:
            return value
        if not str(value).startswith(self.schema[field.target].prefix):
            raise malformed_id(f"{field.name}: id value of incorrect type: {value}")
        if self.records.get(field.target, value) is None:
            raise unknown_reference(field.name)
        return value

    def _check_unique(self, sobject: SObject, row: Row, given: Row) -> None:
        for name, value in given.items():
            if sobject.fields[name].unique and value is not None:
                for holder in self.records.tables[sobject.name].find(name, value):
                    if holder != row.get("Id"):
                        raise duplicate_value(name, holder)

    def _flag_lines(self, opportunity_id: Value, *, has: bool) -> None:
        self.records.change("Opportunity", str(opportunity_id), {"HasOpportunityLineItem": has}, touch=False)

    def _line_gone(self, opportunity_id: Value, caller: Caller) -> None:
        """Losing a line changes the deal's total, so the deal itself counts as changed."""
        opportunity = self.records.get("Opportunity", opportunity_id)
        if opportunity is None:
            return
        rest = self.records.children("OpportunityLineItem", "OpportunityId", opportunity_id)
        self._flag_lines(opportunity_id, has=bool(rest))
        now = self.records.now()
        changes: Row = {"LastModifiedDate": now, "LastModifiedById": caller.user_id, "SystemModstamp": now}
        self.records.change("Opportunity", str(opportunity_id), changes)
        self.feed.note(self.schema["Opportunity"], "UPDATE", caller, opportunity, ["LastModifiedDate"])
