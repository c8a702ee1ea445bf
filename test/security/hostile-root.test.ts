import { ROOT_ACCOUNT } from "../harness/account.ts";
import { hostileSuite } from "./harness/suite.ts";

hostileSuite(ROOT_ACCOUNT);
