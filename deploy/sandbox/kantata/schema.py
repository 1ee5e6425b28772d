"""The collections of the vendor: what each shows, what `include` adds, how it is ordered; facts only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Association:
    """What `include=<name>` adds: the foreign key (hidden until then) and the collection that is side-loaded."""

    key: str
    target: str

    @property
    def is_many(self) -> bool:
        """Whether the key holds a list of ids."""
        return self.key.endswith("_ids")


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: `shown` members in order, ids shown always, associations, default order, indexed keys."""

    name: str
    subject: str
    shown: tuple[str, ...]
    ids: tuple[str, ...] = ()
    associations: dict[str, Association] = field(default_factory=dict[str, Association])
    orders: tuple[str, ...] = ("created_at", "updated_at")
    default_order: str = "created_at:desc"
    indexed: tuple[str, ...] = ()
    event: str = ""


_REFERENCES = {"external_references": Association("external_reference_ids", "external_references")}
_VALUES = {"custom_field_values": Association("custom_field_value_ids", "custom_field_values")}


def _of(**targets: str) -> dict[str, Association]:
    """Associations named by their key without `_id` / `_ids`."""
    named: dict[str, Association] = {}
    for key, target in targets.items():
        named[key.removesuffix("_ids") + "s" if key.endswith("_ids") else key.removesuffix("_id")] = Association(
            key, target
        )
    return named


_LIST = (
    Collection(
        "workspaces",
        "Workspace",
        tuple(
            "title archived description due_date effective_due_date budgeted change_orders_enabled "
            "consultant_role_name client_role_name can_create_line_items default_rate currency currency_symbol "
            "currency_base_unit can_invite has_budget_access price price_in_cents budget_used budget_used_in_cents "
            "over_budget start_date status stories_are_fixed_fee_by_default require_expense_approvals "
            "require_time_approvals percentage_complete access_level tasks_default_non_billable stage target_margin "
            "external_link created_at updated_at".split()
        ),
        ids=("account_id",),
        associations={
            **_of(
                creator_id="users",
                approver_id="users",
                participant_ids="users",
                participation_ids="participations",
                workspace_resource_ids="workspace_resources",
                timesheet_submission_ids="timesheet_submissions",
            ),
            **_REFERENCES,
            **_VALUES,
        },
        orders=("created_at", "updated_at", "due_date", "start_date", "title"),
        default_order="updated_at:desc",
        event="workspace",
    ),
    Collection(
        "stories",
        "Story",
        tuple(
            "title description story_type state status percentage_complete position archived deleted_at start_date "
            "due_date billable fixed_fee budget_estimate_in_cents budget_used_in_cents time_estimate_in_minutes "
            "sub_story_count weight priority time_trackable created_at updated_at".split()
        ),
        ids=("creator_id",),
        associations={
            **_of(workspace_id="workspaces", parent_id="stories", root_id="stories", assignee_ids="users"),
            "sub_stories": Association("sub_story_ids", "stories"),
            "story_state_changes": Association("story_state_change_ids", "story_state_changes"),
            **_REFERENCES,
            **_VALUES,
        },
        orders=("created_at", "updated_at", "due_date", "start_date", "position"),
        default_order="updated_at:desc",
        indexed=("workspace_id", "parent_id"),
        event="story",
    ),
    Collection(
        "story_state_changes",
        "StoryStateChange",
        ("state", "formatted_state", "created_at", "updated_at"),
        associations=_of(user_id="users", story_id="stories"),
        indexed=("story_id",),
    ),
    Collection(
        "time_entries",
        "TimeEntry",
        tuple(
            "created_at updated_at date_performed time_in_minutes billable notes rate_in_cents cost_rate_in_cents "
            "currency currency_symbol currency_base_unit user_can_edit approved taxable is_invoiced location".split()
        ),
        ids=("workspace_id", "user_id"),
        associations={
            **_of(
                workspace_id="workspaces",
                user_id="users",
                story_id="stories",
                role_id="roles",
                invoice_id="invoices",
                active_submission_id="timesheet_submissions",
                recent_submission_id="timesheet_submissions",
            ),
            **_REFERENCES,
        },
        orders=("created_at", "date_performed", "updated_at"),
        default_order="date_performed:desc",
        indexed=("workspace_id",),
        event="time_entry",
    ),
    Collection(
        "expenses",
        "Expense",
        tuple(
            "created_at updated_at date notes category amount_in_cents currency currency_symbol currency_base_unit "
            "user_can_edit is_invoiced is_billable taxable reimbursable".split()
        ),
        associations={
            **_of(
                workspace_id="workspaces",
                user_id="users",
                story_id="stories",
                active_submission_id="expense_report_submissions",
                recent_submission_id="expense_report_submissions",
            ),
            **_REFERENCES,
        },
        orders=("created_at", "date", "updated_at"),
        default_order="date:desc",
        indexed=("workspace_id",),
        event="expense",
    ),
    *(
        Collection(
            name,
            subject,
            tuple(
                "created_at updated_at status title comment type start_date end_date resolution_description currency "
                "currency_base_unit line_item_total_in_cents".split()
            ),
            associations={
                **_of(workspace_id="workspaces", user_id="users"),
                lines: Association(key, lines),
                **_REFERENCES,
            },
            orders=("date",),
            default_order="date:desc",
            indexed=("workspace_id",),
            event=event,
        )
        for name, subject, lines, key, event in (
            ("timesheet_submissions", "TimesheetSubmission", "time_entries", "time_entry_ids", "timesheet"),
            ("expense_report_submissions", "ExpenseReportSubmission", "expenses", "expense_ids", "expense_report"),
        )
    ),
    Collection(
        "resolutions",
        "Resolution",
        ("type", "description", "target_type", "target_id", "current", "created_at", "updated_at"),
        ids=("user_id",),
    ),
    Collection(
        "invoices",
        "Invoice",
        tuple(
            "created_at updated_at invoice_date due_date message title draft status balance_in_cents currency "
            "currency_symbol currency_base_unit payment_schedule user_invoice_title user_invoice_number tax_rate "
            "purchase_order project_code".split()
        ),
        associations={
            **_of(user_id="users", workspace_ids="workspaces"),
            "time_entries": Association("time_entry_ids", "time_entries"),
            "expenses": Association("expense_ids", "expenses"),
            "billing_milestones": Association("billing_milestone_ids", "billing_milestones"),
            "fixed_fee_items": Association("fixed_fee_item_ids", "fixed_fee_items"),
            "additional_items": Association("additional_item_ids", "additional_items"),
            **_REFERENCES,
        },
        orders=("created_at", "updated_at", "invoice_date"),
        event="invoice",
    ),
    *(
        Collection(name, subject, ("created_at", "notes", "amount_in_cents", "taxable", "currency"), ids=ids)
        for name, subject, ids in (
            ("fixed_fee_items", "FixedFeeItem", ("workspace_id", "story_id")),
            ("additional_items", "AdditionalItem", ("workspace_id",)),
        )
    ),
    Collection(
        "external_payments",
        "ExternalPayment",
        ("created_at", "updated_at", "amount_in_cents", "message"),
        associations=_of(user_id="users", invoice_id="invoices", workspace_id="workspaces"),
    ),
    Collection(
        "billing_milestones",
        "BillingMilestone",
        ("title", "date_to_invoice", "amount_in_cents", "billing_type", "currency", "created_at", "updated_at"),
        associations={
            **_of(workspace_id="workspaces", story_id="stories"),
            "invoices": Association("invoice_ids", "invoices"),
            **_REFERENCES,
        },
        orders=("created_at",),
        indexed=("workspace_id", "story_id"),
        event="billing_milestone",
    ),
    Collection(
        "users",
        "User",
        ("full_name", "photo_path", "email_address", "headline", "disabled", "account_permission"),
        ids=("account_id",),
        associations={**_of(role_id="roles"), **_REFERENCES, **_VALUES},
        orders=("alphabetical",),
        default_order="alphabetical:asc",
    ),
    Collection(
        "account_invitations",
        "AccountInvitation",
        ("full_name", "email_address", "headline", "pending", "permission", "created_at", "updated_at"),
        associations=_of(inviter_id="users", invitee_id="users", default_role_id="roles"),
    ),
    Collection("roles", "Role", ("name",), associations=_REFERENCES, orders=("name",), default_order="name:asc"),
    Collection(
        "workspace_resources",
        "WorkspaceResource",
        ("label", "role_name", "full_name", "created_at", "updated_at"),
        associations={**_of(workspace_id="workspaces", user_id="users", role_id="roles"), **_REFERENCES},
        indexed=("workspace_id",),
    ),
    Collection(
        "participations",
        "Participation",
        ("role", "is_team_lead", "access_level", "active_role", "created_at", "updated_at"),
        associations={**_of(workspace_id="workspaces", user_id="users", primary_role_id="roles"), **_REFERENCES},
        indexed=("workspace_id",),
    ),
    Collection(
        "custom_fields",
        "CustomField",
        ("name", "value_type", "default_text", "created_at", "updated_at"),
        associations={
            **_of(custom_field_set_id="custom_field_sets"),
            "choices": Association("choice_ids", "custom_field_choices"),
            **_REFERENCES,
        },
        orders=("name", "created_at"),
        default_order="name:asc",
    ),
    Collection(
        "custom_field_sets",
        "CustomFieldSet",
        ("name", "subject_type", "created_at", "updated_at"),
        associations=_REFERENCES,
    ),
    Collection(
        "custom_field_choices",
        "CustomFieldChoice",
        ("label", "created_at", "updated_at"),
        ids=("custom_field_id",),
        default_order="created_at:asc",
    ),
    Collection(
        "custom_field_values",
        "CustomFieldValue",
        tuple("subject_type value display_value can_edit type custom_field_name created_at updated_at".split()),
        ids=("subject_id", "account_id"),
        associations={**_of(custom_field_id="custom_fields", setter_id="users"), **_REFERENCES},
        orders=("created_at", "updated_at", "subject_id"),
        default_order="created_at:asc",
    ),
    Collection(
        "external_references",
        "ExternalReference",
        tuple(
            "service_name service_model service_model_ref subject_type status external_link external_message "
            "external_status locked last_synced_at created_at updated_at".split()
        ),
        ids=("subject_id",),
        default_order="created_at:asc",
    ),
    Collection(
        "project_templates",
        "ProjectTemplate",
        ("title", "shared", "is_budgeted", "budget", "item_count", "duration", "currency", "description"),
        associations={
            **_of(user_id="users"),
            "project_template_assignments": Association(
                "project_template_assignment_ids", "project_template_assignments"
            ),
        },
        orders=("title",),
        default_order="title:asc",
    ),
    Collection(
        "project_template_assignments",
        "ProjectTemplateAssignment",
        ("name",),
        associations=_of(project_template_id="project_templates"),
        indexed=("project_template_id",),
    ),
    Collection("line_item_locks", "LineItemLock", ("locked_to", "created_at", "updated_at"), event="line_item_lock"),
)
COLLECTIONS: dict[str, Collection] = {collection.name: collection for collection in _LIST}
BY_SUBJECT: dict[str, str] = {collection.subject: collection.name for collection in _LIST}
SINGULAR: dict[str, str] = {
    name: {"stories": "story", "time_entries": "time_entry", "participations": "participation"}.get(
        name, name.removesuffix("s")
    )
    for name in COLLECTIONS
}
