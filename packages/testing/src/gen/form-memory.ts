import type { Values } from '@holdfast/core'

/** A record as it was when somebody began to change it. */
export interface OpenForm {
  readonly collection: string
  readonly id: string
  readonly row: Values
  /** The mutation of the dead letter that is edited; null for an update. */
  readonly letter: string | null
}

/** Where a form is open. */
interface Place {
  /** The app, as it runs. */
  readonly client: object
  readonly disk: string
}

/** Forms that are open, by number: in the app as long as it runs, and drafts that it keeps, by disk. */
export class FormMemory {
  readonly #inApp = new WeakMap<object, Map<number, OpenForm>>()
  readonly #drafts = new Map<string, Map<number, OpenForm>>()

  put(where: Place, number: number, form: OpenForm): void {
    this.#formsOf(where, number).set(number, form)
  }

  /** Whoever saves a form is done with it. */
  take(where: Place, number: number): OpenForm | undefined {
    const forms = this.#formsOf(where, number)
    const form = forms.get(number)
    forms.delete(number)
    return form
  }

  #formsOf({ client, disk }: Place, number: number): Map<number, OpenForm> {
    const isDraft = number % 3 === 0
    const known = isDraft ? this.#drafts.get(disk) : this.#inApp.get(client)
    if (known) return known
    const forms = new Map<number, OpenForm>()
    if (isDraft) this.#drafts.set(disk, forms)
    else this.#inApp.set(client, forms)
    return forms
  }
}
