import { ROOT_ACCOUNT } from "../support/account.ts";
import { hostileSuite } from "./suite.ts";

hostileSuite(ROOT_ACCOUNT);
