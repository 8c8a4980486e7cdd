// Every text of the console, in both languages; the browser's language is the default.

const TEXTS = {
  en: {
    skip: "Skip to content", live: "Live", recordings: "Recordings", recording: "Recording",
    microphone: "Microphone", history: "History", call: "Call", language: "Русский", more: "More",
    offline: "The server does not answer; trying again", not_found: "There is no such page",
    ready: "Ready", not_ready: "Not ready", calls: "Calls", wait: "Engine delay",
    waiting: "Recordings in work", deliveries: "Deliveries waiting",
    no_calls: "No calls now. A call appears here as soon as it comes.",
    ended: "ended", running: "running", open: "not ended", level: "Level", said: "Text of the call", door: "Door",
    until: "Until", length: "Length", end: "End",
    ringback: "rings", busy: "busy", congestion: "network busy", sit: "information tone", beep: "beep",
    fax_calling: "fax calls", fax_answering: "fax answers", music: "music", unavailable: "unavailable",
    switched_off: "switched off", wrong_number: "wrong number", voicemail: "voicemail", queue: "queue",
    key: "key {digit}", unheard: "speech that was not recognised", nothing_said: "No text yet",
    drop: "Drop recordings here or", choose: "choose files", channels: "Channels", auto: "auto",
    split: "one party each", mix: "mixed", profile: "Profile", default: "default",
    by_url: "or fetch by URL", fetch: "Fetch", uploading: "Uploading {name}",
    no_recordings: "No recordings yet.", queued: "waiting", fetching: "fetching",
    recognising: "recognising", delivering: "delivering", done: "done", failed: "failed",
    cancelled: "cancelled", cancel: "Cancel", back: "All recordings", progress: "Progress",
    download: "Download", plain: "Text", dialogue: "Dialogue", channel: "Channel {channel}",
    wave: "Waveform: arrow keys move the player", words_hint: "Words: arrow keys move, Enter plays",
    no_audio: "The audio is not here or the browser cannot play it; the text is whole.",
    silent: "Nothing was said.", fault: "The file could not be read to its end: {fault}",
    overlaps: "overlap", interrupts: "interrupts", crosstalk: "crosstalk",
    hide_crosstalk: "Without crosstalk",
    figures: "Figures", talk_s: "Talk", silence_s: "Silence", overlap_s: "Overlap",
    interruptions: "Interruptions", turns: "Turns", words: "Words",
    server: "Vosk server", start: "Speak", stop: "Stop",
    no_microphone: "The browser lends its microphone only to https pages and to localhost.",
    socket_refused: "No connection to {url}. Is the Vosk door open there? The page may speak only "
      + "to the address in doors.rest.vosk_url.",
    search: "Search", query: "What was said", since: "Since", nothing_found: "Nothing was found.",
    duration: "{time} long", finals: "phrases: {count}",
  },
  ru: {
    skip: "К содержанию", live: "Эфир", recordings: "Записи", recording: "Запись",
    microphone: "Микрофон", history: "История", call: "Звонок", language: "English", more: "Ещё",
    offline: "Сервер не отвечает; пробуем снова", not_found: "Такой страницы нет",
    ready: "Готов", not_ready: "Не готов", calls: "Звонки", wait: "Задержка",
    waiting: "Записей в работе", deliveries: "Ждут отправки",
    no_calls: "Сейчас звонков нет. Звонок появится здесь, как только поступит.",
    ended: "завершён", running: "идёт", open: "не завершён", level: "Уровень", said: "Текст звонка", door: "Вход",
    until: "До", length: "Длительность", end: "Окончание",
    ringback: "гудок", busy: "занято", congestion: "перегрузка сети", sit: "тон оператора", beep: "сигнал",
    fax_calling: "звонит факс", fax_answering: "отвечает факс", music: "музыка", unavailable: "недоступен",
    switched_off: "выключен", wrong_number: "неверный номер", voicemail: "автоответчик", queue: "очередь",
    key: "клавиша {digit}", unheard: "речь не распознана", nothing_said: "Текста пока нет",
    drop: "Перетащите записи сюда или", choose: "выберите файлы", channels: "Каналы", auto: "авто",
    split: "по стороне на канал", mix: "смешать", profile: "Профиль", default: "обычный",
    by_url: "или загрузить по ссылке", fetch: "Загрузить", uploading: "Загружается {name}",
    no_recordings: "Записей пока нет.", queued: "ждёт", fetching: "загружается",
    recognising: "распознаётся", delivering: "отправляется", done: "готово", failed: "ошибка",
    cancelled: "отменено", cancel: "Отменить", back: "Все записи", progress: "Ход работы",
    download: "Скачать", plain: "Текст", dialogue: "Диалог", channel: "Канал {channel}",
    wave: "Осциллограмма: стрелки двигают проигрыватель",
    words_hint: "Слова: стрелки выбирают, Enter проигрывает",
    no_audio: "Звука здесь нет или браузер не может его проиграть; текст полный.",
    silent: "Ничего не сказано.", fault: "Файл удалось прочитать не до конца: {fault}",
    overlaps: "одновременно", interrupts: "перебивает", crosstalk: "эхо другой стороны",
    hide_crosstalk: "Без эха другой стороны",
    figures: "Показатели", talk_s: "Речь", silence_s: "Тишина", overlap_s: "Одновременно",
    interruptions: "Перебиваний", turns: "Реплик", words: "Слов",
    server: "Сервер Vosk", start: "Говорить", stop: "Стоп",
    no_microphone: "Браузер даёт микрофон только страницам https и localhost.",
    socket_refused: "Нет связи с {url}. Открыт ли там вход Vosk? Странице разрешён только адрес "
      + "из doors.rest.vosk_url.",
    search: "Искать", query: "Что было сказано", since: "Начиная с", nothing_found: "Ничего не найдено.",
    duration: "длительность {time}", finals: "фраз: {count}",
  },
};

const KEY = "ruasr_tel.language";
const preferred = navigator.languages.find((each) => /^(ru|en)\b/.test(each)) ?? "en";

export const LANGUAGES = Object.keys(TEXTS);
export let language = localStorage.getItem(KEY) ?? preferred.slice(0, 2);
if (!LANGUAGES.includes(language)) language = "en";

/** Switch to the other language and remember it. */
export function switchLanguage() {
  language = language === "ru" ? "en" : "ru";
  localStorage.setItem(KEY, language);
}

/** Return a text in the present language, its {names} filled in. */
export function t(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Return the keys of a language. */
export function keys(of) {
  return Object.keys(TEXTS[of]);
}

/** Return seconds as m:ss or h:mm:ss, with tenths if asked. */
export function clock(seconds, digits = 0) {
  const scale = 10 ** digits;
  const all = Math.floor(seconds * scale) / scale;
  const [h, m, s] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const rest = s.toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return h ? `${h}:${String(m).padStart(2, "0")}:${rest}` : `${m}:${rest}`;
}

/** Return a moment of the server in the reader's own time. */
export function moment(iso) {
  const form = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  return form.format(new Date(iso));
}

/** Return seconds with one decimal, as the language writes numbers. */
export function seconds(value) {
  const unit = { style: "unit", unit: "second", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(language, unit).format(value);
}
