# packages: sqlalchemy
# result: ["sandy","spongebob","SELECT"]
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
class Base(DeclarativeBase): pass
class User(Base):
    __tablename__ = "user_account"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(30))
engine = create_engine("sqlite://"); Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all([User(name="spongebob"), User(name="sandy")]); session.commit()
    set_result([*session.scalars(select(User.name).order_by(User.name)), str(select(User.id).where(User.id == 5))[:6]])
