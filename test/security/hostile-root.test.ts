import { ROOT_ACCOUNT } from "../harness/account.ts";
import { hostileSuite } from "./stage/suite.ts";

hostileSuite(ROOT_ACCOUNT);
