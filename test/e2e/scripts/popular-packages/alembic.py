# packages: alembic
# result: ["id","name","last"]
from alembic.migration import MigrationContext
from alembic.operations import Operations
import sqlalchemy as sa
with sa.create_engine("sqlite://").connect() as connection:
    op = Operations(MigrationContext.configure(connection))
    op.create_table("account", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
    op.add_column("account", sa.Column("last", sa.DateTime))
    set_result([column["name"] for column in sa.inspect(connection).get_columns("account")])
