import { AirlockError } from "#common/errors.ts";

/** A `start_failed` by bad luck: nothing says that the next attempt meets it too. */
export class TransientFailure extends AirlockError {
  constructor(message: string, options: ConstructorParameters<typeof AirlockError>[2] = {}) {
    super("start_failed", message, options);
    this.name = "TransientFailure";
  }
}
