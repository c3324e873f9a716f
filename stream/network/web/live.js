// The one socket of the page: figures come as they are made, pictures as they are asked for.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

export class Live {
  // `heard` has methods welcome(message), figures(message), picture(sourceId, blob), and
  // isConnected(isOpen).
  constructor(heard) {
    this.heard = heard;
    this.waitMs = FIRST_WAIT_MS;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.waitMs = FIRST_WAIT_MS;
      this.heard.isConnected(true);
    };
    this.socket.onmessage = (event) => this.take(event.data);
    this.socket.onclose = () => {
      this.heard.isConnected(false);
      setTimeout(() => this.connect(), this.waitMs);
      this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
    };
  }

  take(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      this.heard[message.kind]?.(message);
      return;
    }
    const sourceId = new DataView(data).getUint32(0, true);
    this.heard.picture(sourceId, new Blob([data.slice(4)], { type: "image/jpeg" }));
  }

  // Asks for a picture of the source that was not sent yet.
  ask(sourceId) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ next: sourceId }));
    }
  }
}
