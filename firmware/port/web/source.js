/** Frames of a camera or of a video file, with the times they were taken. */

const CAMERA = {
  width: {ideal: 640},
  height: {ideal: 480},
  frameRate: {ideal: 30},
};

/** Whether this browser has what is needed. */
export function isSupported() {
  return 'VideoFrame' in window && 'OffscreenCanvas' in window &&
      'requestVideoFrameCallback' in HTMLVideoElement.prototype;
}

/** Cameras, named once one was allowed: [{deviceId, label}]. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(
      ({kind, deviceId}) => kind === 'videoinput' && deviceId);
}

export class Source {
  /**
   * @param {!HTMLVideoElement} video that shows it.
   * @param {function(!Object)} onFrame gets {frame, width, height, timeUs}.
   */
  constructor(video, onFrame) {
    this.video = video;
    this.onFrame = onFrame;
    this.isCamera = false;
    this.name = '';
    this.run = 0;  // frames of an earlier one are late
  }

  /**
   * Opens a camera.
   * @param {string} deviceId of cameras(); '' for any that looks at the user.
   * @param {function()} onGone is called if it is unplugged.
   */
  async openCamera(deviceId, onGone) {
    const choice =
        deviceId ? {deviceId: {exact: deviceId}} : {facingMode: 'user'};
    const run = ++this.run;
    const stream = await navigator.mediaDevices.getUserMedia(
        {audio: false, video: {...CAMERA, ...choice}});
    const [track] = stream.getVideoTracks();
    if (run !== this.run) {  // closed while the user was asked
      track.stop();
      return;
    }
    track.addEventListener('ended', onGone);
    this.isCamera = true;
    this.name = track.label;
    this.deviceId = track.getSettings().deviceId;
    this.video.srcObject = stream;
    await this.#play();
  }

  /**
   * Opens a file.
   * @param {!File} file
   * @param {function()} onEnd is called when it has been played.
   */
  async openFile(file, onEnd) {
    this.isCamera = false;
    this.name = file.name;
    this.video.srcObject = null;
    this.video.src = URL.createObjectURL(file);
    this.video.onended = onEnd;
    await this.#play();
  }

  async #play() {
    const run = ++this.run;
    const next = (_, metadata) => {
      if (run === this.run) {
        this.#take(metadata);
        this.video.requestVideoFrameCallback(next);
      }
    };
    this.video.requestVideoFrameCallback(next);
    await this.video.play();
  }

  #take(metadata) {
    const timeS = this.isCamera ?
        (metadata.captureTime ?? metadata.presentationTime) / 1e3 :
        metadata.mediaTime;
    const timeUs = Math.round(timeS * 1e6);
    this.onFrame({
      frame: new VideoFrame(this.video, {timestamp: timeUs}),
      width: this.video.videoWidth,
      height: this.video.videoHeight,
      timeUs,
    });
  }

  /** Lets the camera go. */
  close() {
    this.run += 1;
    this.video.onended = null;
    this.video.pause();
    for (const track of this.video.srcObject?.getTracks() ?? []) {
      track.stop();
    }
    this.video.srcObject = null;
    if (this.video.src) {
      URL.revokeObjectURL(this.video.src);
      this.video.removeAttribute('src');
      this.video.load();
    }
  }
}
