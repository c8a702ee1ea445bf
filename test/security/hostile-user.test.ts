import { ORDINARY_ACCOUNT } from "../harness/account.ts";
import { hostileSuite } from "./harness/suite.ts";

hostileSuite(ORDINARY_ACCOUNT);
