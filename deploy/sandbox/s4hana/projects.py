"""Enterprise projects: the header, its tree of WBS elements, and the statuses they go through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.records import Behaviour
from deploy.sandbox.s4hana.state import Row, Tenant

CREATED, RELEASED, COMPLETED = "00", "10", "42"
_PROFILES = {"YP05": "customer project"}
_HEADER, _ELEMENT = "A_EnterpriseProject", "A_EnterpriseProjectElement"


def _fill_project(tenant: Tenant, row: Row) -> None:
    row["Project"] = row["Project"].upper()
    for name in ("Project", "ProjectDescription", "ProjectStartDate", "ProjectProfileCode"):
        if not row[name]:
            raise invalid("/S4PPM/PROJECT/010", f"Enter a value for {name}", name)
    if row["ProjectProfileCode"] not in _PROFILES:
        raise invalid("/S4PPM/PROJECT/013", f"Project profile {row['ProjectProfileCode']} is not defined")
    if tenant.table(_HEADER).where(Project=row["Project"]):
        raise invalid("/S4PPM/PROJECT/021", f"Project {row['Project']} already exists", "Project")
    _check_dates(row["ProjectStartDate"], row["ProjectEndDate"])
    _check_element_id(tenant, row["Project"])
    row["ProjectUUID"] = uuid4()
    row["ProjectInternalID"] = tenant.number("wbs").zfill(8)
    row["ProcessingStatus"] = CREATED
    row["CompanyCode"] = _company_of(tenant, row["ResponsibleCostCenter"])
    row["LastChangeDateTime"] = row["ProjectLastChangedDateTime"] = tenant.now()
    if row["CustomerUUID"] and not tenant.table("A_BusinessPartner").where(BusinessPartnerUUID=row["CustomerUUID"]):
        raise invalid("/S4PPM/PROJECT/031", "The customer does not exist", "CustomerUUID")
    _plant_root(tenant, row)


def _check_dates(start: Any, end: Any) -> None:
    if start and end and end < start:
        raise invalid("/S4PPM/PROJECT/015", "The end date is before the start date", "ProjectEndDate")


def _company_of(tenant: Tenant, cost_center: str) -> str:
    """Cost centres of the delivered content begin with their company code."""
    company = cost_center[:4]
    if cost_center and company not in tenant.customizing.company_codes:
        raise invalid("KS/101", f"Cost center {cost_center} does not exist", "ResponsibleCostCenter")
    return company


def _plant_root(tenant: Tenant, project: Row) -> None:
    entity = tenant.sets[_ELEMENT]
    blank: Row = {
        name: {"String": "", "Boolean": False, "Int32": 0}.get(p.kind) for name, p in entity.properties.items()
    }
    tenant.table(_ELEMENT).insert(
        blank
        | {
            "ProjectElementUUID": uuid4(),
            "ProjectUUID": project["ProjectUUID"],
            "ProjectElement": project["Project"],
            "ProjectElementDescription": project["ProjectDescription"],
            "WBSElementInternalID": tenant.number("wbs").zfill(8),
            "ProcessingStatus": CREATED,
            "CompanyCode": project["CompanyCode"],
            "CreationDateTime": tenant.now(),
            "LastChangeDateTime": tenant.now(),
        }
    )


def _check_project(tenant: Tenant, row: Row, values: Row) -> None:
    if row["ProcessingStatus"] == COMPLETED:
        raise invalid("/S4PPM/PROJECT/040", f"Project {row['Project']} is completed and cannot be changed")
    if "Project" in values:
        values["Project"] = values["Project"].upper()
    if values.get("Project", row["Project"]) != row["Project"]:
        raise invalid("/S4PPM/PROJECT/041", "The project id cannot be changed any more", "Project")
    start = values.get("ProjectStartDate", row["ProjectStartDate"])
    _check_dates(start, values.get("ProjectEndDate", row["ProjectEndDate"]))
    values["LastChangeDateTime"] = values["ProjectLastChangedDateTime"] = tenant.now()


def _removing_project(_: Tenant, row: Row) -> None:
    if row["ProcessingStatus"] != CREATED:
        raise invalid("/S4PPM/CRUD/202", "Only projects in status Created can be deleted")


def _check_element_id(tenant: Tenant, name: str) -> None:
    if tenant.table(_ELEMENT).where(ProjectElement=name):
        raise invalid("/S4PPM/PROJECT/022", f"Project element {name} already exists", "ProjectElement")


def _fill_element(tenant: Tenant, row: Row) -> None:
    project = tenant.table(_HEADER).get(row["ProjectUUID"])
    if project is None:
        raise invalid("/S4PPM/CRUD/110", "The project does not exist", "ProjectUUID")
    if project["ProcessingStatus"] == COMPLETED:
        raise invalid("/S4PPM/PROJECT/040", f"Project {project['Project']} is completed and cannot be changed")
    row["ProjectElement"] = row["ProjectElement"].upper()
    if not row["ProjectElement"] or not row["ProjectElementDescription"]:
        raise invalid("/S4PPM/PROJECT/011", "Enter id and description of the project element", "ProjectElement")
    _check_element_id(tenant, row["ProjectElement"])
    _check_dates(row["PlannedStartDate"], row["PlannedEndDate"])
    siblings = tenant.table(_ELEMENT).where(ProjectUUID=project["ProjectUUID"])
    root = next(one for one in siblings if one["ParentObjectUUID"] is None)
    row["ParentObjectUUID"] = row["ParentObjectUUID"] or root["ProjectElementUUID"]
    if not any(one["ProjectElementUUID"] == row["ParentObjectUUID"] for one in siblings):
        raise invalid("/S4PPM/CRUD/111", "The parent element does not exist in this project", "ParentObjectUUID")
    row["ProjectElementUUID"] = uuid4()
    row["ProjectElementOrdinalNumber"] = len(siblings)
    row["WBSElementInternalID"] = tenant.number("wbs").zfill(8)
    row["ProcessingStatus"] = project["ProcessingStatus"]
    row["CompanyCode"] = project["CompanyCode"]
    row["CreationDateTime"] = row["LastChangeDateTime"] = tenant.now()


def _made_element(tenant: Tenant, row: Row) -> None:
    project = tenant.table(_HEADER).get(row["ProjectUUID"])
    if project is not None:
        tenant.table(_HEADER).change(project, {"ProjectLastChangedDateTime": tenant.now()})


def _check_element(tenant: Tenant, row: Row, values: Row) -> None:
    if row["ParentObjectUUID"] is None:
        raise invalid("/S4PPM/CRUD/377", "The root element is changed through its project")
    if row["ProcessingStatus"] == COMPLETED:
        raise invalid("/S4PPM/PROJECT/042", f"Project element {row['ProjectElement']} is completed")
    if "ProjectElement" in values:
        values["ProjectElement"] = values["ProjectElement"].upper()
    if values.get("ProjectElement", row["ProjectElement"]) != row["ProjectElement"]:
        raise invalid("/S4PPM/PROJECT/043", "The id of the element cannot be changed any more", "ProjectElement")
    _check_dates(
        values.get("PlannedStartDate", row["PlannedStartDate"]), values.get("PlannedEndDate", row["PlannedEndDate"])
    )
    values["LastChangeDateTime"] = tenant.now()


def _removing_element(_: Tenant, row: Row) -> None:
    if row["ProcessingStatus"] != CREATED:
        raise invalid("/S4PPM/CRUD/203", "Only elements in status Created can be deleted")


def change_project_status(tenant: Tenant, given: Mapping[str, Any]) -> Row:
    """`ChangeEntProjProcgStatus`: created → released → completed, and back where the tenant allows it."""
    project = tenant.table(_HEADER).get(given["ProjectUUID"])
    if project is None:
        raise invalid("/S4PPM/CRUD/110", "The project does not exist", "ProjectUUID")
    _step(tenant, project["ProcessingStatus"], given["ProcessingStatus"])
    moment = tenant.now()
    status = {"ProcessingStatus": given["ProcessingStatus"]}
    stamps = {"LastChangeDateTime": moment, "ProjectLastChangedDateTime": moment}
    tenant.table(_HEADER).change(project, status | stamps)
    for element in tenant.table(_ELEMENT).where(ProjectUUID=project["ProjectUUID"]):
        tenant.table(_ELEMENT).change(element, {**status, "LastChangeDateTime": moment})
    return project


def change_element_status(tenant: Tenant, given: Mapping[str, Any]) -> Row:
    """`ChangeEntProjElmntProcgStatus`."""
    element = tenant.table(_ELEMENT).get(given["ProjectElementUUID"])
    if element is None:
        raise invalid("/S4PPM/CRUD/112", "The project element does not exist", "ProjectElementUUID")
    _step(tenant, element["ProcessingStatus"], given["ProcessingStatus"])
    values = {"ProcessingStatus": given["ProcessingStatus"], "LastChangeDateTime": tenant.now()}
    tenant.table(_ELEMENT).change(element, values)
    return element


def _step(tenant: Tenant, before: str, after: str) -> None:
    allowed = {(CREATED, RELEASED), (RELEASED, COMPLETED)}
    if tenant.customizing.switches.reopens_closed_projects:
        allowed.add((COMPLETED, RELEASED))
    if (before, after) not in allowed:
        raise invalid("/S4PPM/STATUS/005", f"Status {before} cannot be followed by {after}", "ProcessingStatus")


BEHAVIOURS: Mapping[str, Behaviour] = {
    _HEADER: Behaviour(fill=_fill_project, check=_check_project, removing=_removing_project),
    _ELEMENT: Behaviour(fill=_fill_element, made=_made_element, check=_check_element, removing=_removing_element),
}
