-- One project is asked for by its id (partners), not only by its deal.

CREATE INDEX deals_by_project ON deals (tenant, project_id) WHERE project_id IS NOT NULL;
