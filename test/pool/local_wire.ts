/** A wire within this thread: frames are made and read as between computers, and go from inbox to inbox in microtasks. */
import { Inbox } from "../../src/pipeline/inbox.ts";
import { FrameError } from "../../src/wire/frame_error.ts";
import type { Codec, Inbound, Offer, Outbound, Wire } from "../../src/wire/wire.ts";

interface Place {
  deliver(frame: Uint8Array): void;
  readonly end: () => void;
  /** Called when the receiver ends. */
  onEnd: () => void;
}

/** All inboxes, by subject; members of one network reach each other. */
export class LocalNetwork {
  readonly places = new Map<string, Place>();
  next = 0;

  /** @param delay before the next frame of a link comes after the one before it; none if left out */
  constructor(readonly delay: (() => Promise<void>) | null = null) {}
}

export class LocalWire implements Wire {
  readonly #network: LocalNetwork;
  malformed = 0;

  constructor(network: LocalNetwork) {
    this.#network = network;
  }

  receive<Message>(codec: Codec<Message>): Promise<Inbound<Message>> {
    const subject = `inbox.${this.#network.next++}`;
    const inbox = new Inbox<Message>();
    const place: Place = {
      deliver: (frame) => {
        try {
          inbox.push(codec.decode(frame));
        } catch (error) {
          if (!(error instanceof FrameError)) throw error;
          this.malformed++;
          place.end();
        }
      },
      end: () => {
        inbox.end();
        place.onEnd();
      },
      onEnd: () => {},
    };
    this.#network.places.set(subject, place);
    const offer: Offer = { subject, token: "00".repeat(32), tcp: null };
    return Promise.resolve({
      offer,
      link: {
        send: () => {},
        [Symbol.asyncIterator]: () => inbox[Symbol.asyncIterator](),
        [Symbol.dispose]: () => place.end(),
      },
    });
  }

  connect<Message>({ subject }: Offer, codec: Codec<Message>): Promise<Outbound<Message>> {
    const place = this.#network.places.get(subject);
    if (!place) return Promise.reject(new Error(`Cannot reach ${subject}: nobody is there`));
    const ended = new Inbox<never>();
    const { delay } = this.#network;
    place.onEnd = () => delay === null ? ended.end() : void delay().then(() => ended.end());
    let before = Promise.resolve();
    const inOrder = (act: () => void) => {
      if (delay === null) act();
      else before = before.then(delay).then(act);
    };
    return Promise.resolve({
      transport: "nats",
      roundTripMillis: 0.5,
      link: {
        send: (message) => {
          const frame = codec.encode(message);
          inOrder(() => place.deliver(frame));
        },
        [Symbol.asyncIterator]: () => ended[Symbol.asyncIterator](),
        [Symbol.dispose]: () => inOrder(() => place.end()),
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
