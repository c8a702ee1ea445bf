import { ORDINARY_ACCOUNT } from "../harness/account.ts";
import { hostileSuite } from "./stage/suite.ts";

hostileSuite(ORDINARY_ACCOUNT);
