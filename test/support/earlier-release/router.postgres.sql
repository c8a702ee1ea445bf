-- A router's PostgreSQL database as the release before the database kit left it: `pg_dump --inserts --no-owner`, without comments.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.count_added_bytes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  SELECT project, pg_backend_pid() % 64, sum(stored_bytes) FROM added GROUP BY project ORDER BY project
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.count_changed_bytes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  VALUES (NEW.project, pg_backend_pid() % 64, NEW.stored_bytes - OLD.stored_bytes)
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.count_removed_bytes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  INSERT INTO stored_bytes AS counted
  SELECT project, pg_backend_pid() % 64, -sum(stored_bytes) FROM removed GROUP BY project ORDER BY project
  ON CONFLICT (project, slot) DO UPDATE SET bytes = counted.bytes + excluded.bytes;
  RETURN NULL;
END
$$;
CREATE FUNCTION public.refuse_execution_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'an execution never goes back: % to % (epoch % to %)', OLD.status, NEW.status, OLD.epoch, NEW.epoch
    USING ERRCODE = 'integrity_constraint_violation';
END
$$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.airlock_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.execution_output (
    execution_id text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    stdout bytea NOT NULL,
    stderr bytea NOT NULL
);
CREATE TABLE public.execution_redactions (
    execution_id text NOT NULL COLLATE pg_catalog."C",
    secret text NOT NULL COLLATE pg_catalog."C",
    field text NOT NULL COLLATE pg_catalog."C",
    count bigint NOT NULL
);
CREATE TABLE public.executions (
    execution_id text NOT NULL COLLATE pg_catalog."C",
    project text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    epoch bigint DEFAULT 1 NOT NULL,
    code text NOT NULL,
    timeout_ms bigint NOT NULL,
    settings text NOT NULL,
    memory text NOT NULL,
    llm_id text COLLATE pg_catalog."C",
    llm_prompt bytea,
    llm_model bytea,
    llm_answer bytea,
    cancel_requested boolean DEFAULT false NOT NULL,
    end_reason text COLLATE pg_catalog."C",
    error bytea,
    result text DEFAULT 'null'::text NOT NULL,
    memory_updates text DEFAULT '{}'::text NOT NULL,
    truncated_stdout bigint DEFAULT 0 NOT NULL,
    truncated_stderr bigint DEFAULT 0 NOT NULL,
    execution_time_ms bigint,
    created_at_ms bigint NOT NULL,
    started_at_ms bigint,
    ended_at_ms bigint,
    retry_of text COLLATE pg_catalog."C",
    retry_number bigint,
    granted text,
    stored_bytes bigint DEFAULT 1024 NOT NULL,
    CONSTRAINT completed_is_completed CHECK (((status = 'completed'::text) = (NOT (end_reason IS DISTINCT FROM 'completed'::text)))),
    CONSTRAINT ended_has_a_reason CHECK (((status = ANY (ARRAY['completed'::text, 'error'::text, 'timeout'::text])) = (end_reason IS NOT NULL))),
    CONSTRAINT ended_has_a_time CHECK (((end_reason IS NULL) = (ended_at_ms IS NULL))),
    CONSTRAINT executions_end_reason_check CHECK ((end_reason = ANY (ARRAY['completed'::text, 'script_error'::text, 'exit_nonzero'::text, 'timeout'::text, 'llm_timeout'::text, 'cancelled'::text, 'out_of_memory'::text, 'killed'::text, 'result_invalid'::text, 'result_too_large'::text, 'output_withheld'::text, 'worker_lost'::text, 'start_failed'::text]))),
    CONSTRAINT executions_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'awaiting_llm'::text, 'completed'::text, 'error'::text, 'timeout'::text]))),
    CONSTRAINT retry_has_a_number CHECK (((retry_of IS NULL) = (retry_number IS NULL))),
    CONSTRAINT runs_since_a_time CHECK (((status <> ALL (ARRAY['running'::text, 'awaiting_llm'::text])) OR (started_at_ms IS NOT NULL))),
    CONSTRAINT waits_for_one_open_question CHECK (((status <> 'awaiting_llm'::text) OR ((llm_id IS NOT NULL) AND (llm_answer IS NULL))))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_insert_scale_factor='0.02');
CREATE TABLE public.held_projects (
    project text NOT NULL COLLATE pg_catalog."C",
    held_at_ms bigint NOT NULL
);
CREATE TABLE public.idempotency_keys (
    key text NOT NULL COLLATE pg_catalog."C",
    fingerprint text NOT NULL COLLATE pg_catalog."C",
    execution_id text COLLATE pg_catalog."C",
    created_at_ms bigint NOT NULL
);
CREATE TABLE public.redaction_counts (
    execution_id text NOT NULL COLLATE pg_catalog."C",
    counts text NOT NULL
);
CREATE TABLE public.routers (
    router_id text NOT NULL COLLATE pg_catalog."C",
    seen_at timestamp with time zone NOT NULL
);
CREATE TABLE public.stored_bytes (
    project text NOT NULL COLLATE pg_catalog."C",
    slot integer NOT NULL,
    bytes bigint NOT NULL
)
WITH (fillfactor='50');
INSERT INTO public.airlock_migrations VALUES (1, '0001-executions', '6614c2ddc893d9f3f55131da0b71740cc4fb45d744ba339008512e2f8d1fdde8', '2026-11-30 14:10:39.365471+00');
INSERT INTO public.airlock_migrations VALUES (2, '0002-idempotency-keys', '62908e380f0ed0014498618715258a12e48e8d01a6d68c72ca9bcd686011901d', '2026-11-30 14:10:39.373025+00');
INSERT INTO public.airlock_migrations VALUES (3, '0003-dead-letters', 'e358f9607ca5513451b03144c5f1f4d1f171c053765b32c33e2845a38d6370c4', '2026-11-30 14:10:39.374575+00');
INSERT INTO public.airlock_migrations VALUES (4, '0004-takeover', 'f8c087f73a8618b5ecb3164efd127e24b53f7420a1956942bc091ba36c438fc2', '2026-11-30 14:10:39.375616+00');
INSERT INTO public.airlock_migrations VALUES (5, '0005-stored-bytes', '31070ce572e5576ec9c77875437b28574860fcf1457140c2b88b8b9668de69d1', '2026-11-30 14:10:39.376078+00');
INSERT INTO public.airlock_migrations VALUES (6, '0006-held-projects', '19b3734bcdeadad03fd9d1aa73caba316015c37c42604db98e8903e88d486a9f', '2026-11-30 14:10:39.379545+00');
INSERT INTO public.airlock_migrations VALUES (7, '0007-dead-letters-of-project', '567ee233cabffe483ab82422496b9639eacf3bd9095945933acd766e4c3b694b', '2026-11-30 14:10:39.380518+00');
INSERT INTO public.airlock_migrations VALUES (8, '0008-redaction-counts', '83d25b65a76850c5961aea0cea64caedb677b88d240d84fb79150607b5c31889', '2026-11-30 14:10:39.381249+00');
INSERT INTO public.execution_output VALUES ('0198c0de-0000-7000-8000-000000000001', 0, '\x6f6e6520', '\x');
INSERT INTO public.execution_output VALUES ('0198c0de-0000-7000-8000-000000000001', 1, '\x74776f', '\x');
INSERT INTO public.executions VALUES ('0198c0de-0000-7000-8000-000000000001', 'demo', 'completed', 'router-before', 1, 'print(''ü'')
', 60000, '{"REGION":"eu"}', '{"a":{"n":9007199254740993}}', NULL, NULL, NULL, NULL, false, 'completed', NULL, '[1.0]', '{}', 0, 0, 7, 1, 10, 20, NULL, NULL, '{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}', 1367);
INSERT INTO public.executions VALUES ('0198c0de-0000-7000-8000-000000000004', 'demo', 'error', 'router-before', 1, 'raise SystemExit', 60000, '{"REGION":"eu"}', '{"a":{"n":9007199254740993}}', NULL, NULL, NULL, NULL, false, 'worker_lost', '\x676f6e65', 'null', '{}', 0, 0, 0, 4, 12, 30, NULL, NULL, '{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}', 1093);
INSERT INTO public.executions VALUES ('0198c0de-0000-7000-8000-000000000002', 'demo', 'awaiting_llm', NULL, 1, 'print(''ü'')
', 60000, '{"REGION":"eu"}', '{"a":{"n":9007199254740993}}', 'llm_1', '\x5361792068656c6c6f', '\x64656661756c74', NULL, false, NULL, NULL, 'null', '{}', 0, 0, 5, 2, 11, NULL, NULL, NULL, '{"workerId":"w","workerAddress":"unix:/w","secretsVersion":"v","llmTimeoutMs":1,"network":false}', 1101);
INSERT INTO public.executions VALUES ('0198c0de-0000-7000-8000-000000000003', 'demo', 'pending', NULL, 1, 'print(''ü'')
', 60000, '{"REGION":"eu"}', '{"a":{"n":9007199254740993}}', NULL, NULL, NULL, NULL, false, NULL, NULL, 'null', '{}', 0, 0, NULL, 3, NULL, NULL, NULL, NULL, NULL, 1079);
INSERT INTO public.held_projects VALUES ('held', 40);
INSERT INTO public.idempotency_keys VALUES ('once', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', '0198c0de-0000-7000-8000-000000000001', 1);
INSERT INTO public.redaction_counts VALUES ('0198c0de-0000-7000-8000-000000000001', '{"stdout:TOKEN":2}');
INSERT INTO public.stored_bytes VALUES ('demo', 24, 4640);
ALTER TABLE ONLY public.airlock_migrations
    ADD CONSTRAINT airlock_migrations_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.execution_output
    ADD CONSTRAINT execution_output_pkey PRIMARY KEY (execution_id, "position");
ALTER TABLE ONLY public.execution_redactions
    ADD CONSTRAINT execution_redactions_pkey PRIMARY KEY (execution_id, secret, field);
ALTER TABLE ONLY public.executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (execution_id);
ALTER TABLE ONLY public.held_projects
    ADD CONSTRAINT held_projects_pkey PRIMARY KEY (project);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.redaction_counts
    ADD CONSTRAINT redaction_counts_pkey PRIMARY KEY (execution_id);
ALTER TABLE ONLY public.routers
    ADD CONSTRAINT routers_pkey PRIMARY KEY (router_id);
ALTER TABLE ONLY public.stored_bytes
    ADD CONSTRAINT stored_bytes_pkey PRIMARY KEY (project, slot);
CREATE INDEX executions_by_project ON public.executions USING btree (project, execution_id);
CREATE INDEX executions_by_project_and_status ON public.executions USING btree (project, status, execution_id);
CREATE INDEX executions_by_status ON public.executions USING btree (status, execution_id);
CREATE INDEX executions_dead_letters ON public.executions USING btree (execution_id) WHERE (end_reason = ANY (ARRAY['output_withheld'::text, 'worker_lost'::text, 'start_failed'::text]));
CREATE INDEX executions_dead_letters_of_project ON public.executions USING btree (project, execution_id) WHERE (end_reason = ANY (ARRAY['output_withheld'::text, 'worker_lost'::text, 'start_failed'::text]));
CREATE INDEX executions_ended ON public.executions USING btree (ended_at_ms, execution_id) INCLUDE (stored_bytes) WHERE (ended_at_ms IS NOT NULL);
CREATE INDEX executions_ended_of_project ON public.executions USING btree (project, ended_at_ms, execution_id) INCLUDE (stored_bytes) WHERE (ended_at_ms IS NOT NULL);
CREATE INDEX executions_of_owner ON public.executions USING btree (owner, execution_id) WHERE (status = ANY (ARRAY['pending'::text, 'running'::text, 'awaiting_llm'::text]));
CREATE UNIQUE INDEX executions_retries ON public.executions USING btree (retry_of, retry_number) WHERE (retry_of IS NOT NULL);
CREATE INDEX idempotency_keys_of_execution ON public.idempotency_keys USING btree (execution_id) WHERE (execution_id IS NOT NULL);
CREATE INDEX idempotency_keys_to_forget ON public.idempotency_keys USING btree (created_at_ms) WHERE (execution_id IS NULL);
CREATE TRIGGER executions_counted AFTER INSERT ON public.executions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.count_added_bytes();
CREATE TRIGGER executions_never_go_back BEFORE UPDATE OF execution_id, project, status, owner, epoch, code, timeout_ms, settings, memory, llm_id, llm_prompt, llm_model, llm_answer, cancel_requested, end_reason, error, result, memory_updates, truncated_stdout, truncated_stderr, execution_time_ms, created_at_ms, started_at_ms, ended_at_ms, retry_of, retry_number, granted ON public.executions FOR EACH ROW WHEN (((old.end_reason IS NOT NULL) OR ((new.status = 'pending'::text) AND (old.status <> 'pending'::text)) OR (new.epoch < old.epoch))) EXECUTE FUNCTION public.refuse_execution_change();
CREATE TRIGGER executions_recounted AFTER UPDATE ON public.executions FOR EACH ROW WHEN ((old.stored_bytes <> new.stored_bytes)) EXECUTE FUNCTION public.count_changed_bytes();
CREATE TRIGGER executions_uncounted AFTER DELETE ON public.executions REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.count_removed_bytes();
ALTER TABLE ONLY public.execution_output
    ADD CONSTRAINT execution_output_execution_id_fkey FOREIGN KEY (execution_id) REFERENCES public.executions(execution_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.execution_redactions
    ADD CONSTRAINT execution_redactions_execution_id_fkey FOREIGN KEY (execution_id) REFERENCES public.executions(execution_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_execution_id_fkey FOREIGN KEY (execution_id) REFERENCES public.executions(execution_id) ON DELETE SET NULL;
ALTER TABLE ONLY public.redaction_counts
    ADD CONSTRAINT redaction_counts_execution_id_fkey FOREIGN KEY (execution_id) REFERENCES public.executions(execution_id) ON DELETE CASCADE;
