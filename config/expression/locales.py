"""The names of months and days in the languages that dates can be written in (those of Java's CLDR data)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tidewaiter.config.errors import ExpressionError


@dataclass(frozen=True, slots=True)
class Names:
    """Names in full and short; January and Monday come first."""

    months: tuple[str, ...]
    short_months: tuple[str, ...]
    days: tuple[str, ...]
    short_days: tuple[str, ...]


def _names(months: str, short_months: str, days: str, short_days: str) -> Names:
    return Names(*(tuple(words.split()) for words in (months, short_months, days, short_days)))


ENGLISH = _names(
    "January February March April May June July August September October November December",
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "Mon Tue Wed Thu Fri Sat Sun",
)
_LANGUAGES: Mapping[str, Names] = MappingProxyType(
    {
        "en": ENGLISH,
        "de": _names(
            "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
            "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
            "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
            "Mo. Di. Mi. Do. Fr. Sa. So.",
        ),
        "es": _names(
            "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
            "ene feb mar abr may jun jul ago sept oct nov dic",
            "lunes martes miércoles jueves viernes sábado domingo",
            "lun mar mié jue vie sáb dom",
        ),
        "fr": _names(
            "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
            "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
            "lundi mardi mercredi jeudi vendredi samedi dimanche",
            "lun. mar. mer. jeu. ven. sam. dim.",
        ),
        "it": _names(
            "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
            "gen feb mar apr mag giu lug ago set ott nov dic",
            "lunedì martedì mercoledì giovedì venerdì sabato domenica",
            "lun mar mer gio ven sab dom",
        ),
        "nl": _names(
            "januari februari maart april mei juni juli augustus september oktober november december",
            "jan. feb. mrt. apr. mei jun. jul. aug. sep. okt. nov. dec.",
            "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
            "ma di wo do vr za zo",
        ),
        "pt": _names(
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
            "jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez.",
            "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
            "seg. ter. qua. qui. sex. sáb. dom.",
        ),
    }
)


def names_of(tag: str | None) -> Names:
    """
    Give the names for a language tag such as ``fr`` or ``pt-BR``; English ones for none.

    Raises:
        ExpressionError: the language is not known here.
    """
    language = re.split("[-_]", tag or "en")[0].lower()
    if language not in _LANGUAGES:
        raise ExpressionError(f"dates cannot be written in the locale '{tag}'", f"there is {', '.join(_LANGUAGES)}")
    return _LANGUAGES[language]
