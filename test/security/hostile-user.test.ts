import { ORDINARY_ACCOUNT } from "../support/account.ts";
import { hostileSuite } from "./suite.ts";

hostileSuite(ORDINARY_ACCOUNT);
