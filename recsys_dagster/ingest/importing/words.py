"""List the names that columns have in the files that people bring, in several languages, and match names with them."""

import re
import unicodedata

EXACT = 10.0
"""Score of a name that means one thing."""
_PART = 6.0  # a word of the name means it
_ID = {"id", "ids", "key", "code", "no", "nr", "num", "number", "uuid", "guid", "index", "idx", "nummer", "identifier"}

_ITEM_WORDS = (
    "item product sku asin isbn ean gtin upc movie film anime manga book song track artist album article game app"
    " course recipe business restaurant place poi video show series podcast episode listing post news job hotel beer"
    " joke produkt artikel ware buch titel_id producto articulo pelicula libro cancion produit livre chanson jeu"
    " prodotto articolo canzone produto livro filme musica boek artikelnr tovar kniga"
    " товар фильм книга песня 商品 作品 映画 本 电影 产品 상품 영화"
)
_USER_WORDS = (
    "user customer client member account buyer shopper visitor reader viewer listener player person subscriber reviewer"
    " student guest patron consumer uid username userid login email mail rater"
    " kunde nutzer benutzer kundin besteller kundennr utilisateur cliente usuario utente usuaria gebruiker klant"
    " anvandare kund bruger kunden uzytkownik klient пользователь клиент покупатель ユーザー 利用者 顧客"
    " 用户 客户 会员 사용자 고객"
)

INTERACTION_WORDS: dict[str, str] = {
    "user": _USER_WORDS,
    "item": _ITEM_WORDS,
    "rating": "rating ratings rate score stars star grade mark points vote voto vota thumb thumbs liked like preference"
    " reaction opinion overall bewertung sterne punkte note puntuacion calificacion valoracion estrellas"
    " punteggio valutazione nota avaliacao beoordeling betyg ocena оценка рейтинг 評価 评分 評分 평점 별점",
    "weight": "weight strength plays play playcount play_count count counts cnt quantity qty minutes seconds hours"
    " duration listens listencount views viewcount clicks purchases times watchtime watch_time playtime frequency freq"
    " amount units confidence menge anzahl minuten cantidad veces quantite fois minuti quantita quantidade aantal"
    " количество 数量 回数 次数",
    "time": "time timestamp date datetime day ts at when created created_at createdat updated updated_at last_updated"
    " rated_at watched_at played_at listened_at bought_at purchased_at ordered_at event_time eventtime unixtime epoch"
    " order_date invoicedate purchase_date zeit zeitpunkt datum zeitstempel bestelldatum fecha hora temps horodatage"
    " data dataora orario tijd tid время дата 日時 日付 时间 時間 日期 날짜 시간",
    "status": "watching_status my_status",
    "progress": "watched_episodes num_watched_episodes my_watched_episodes",
}
"""What the columns of interactions are called, by their meaning."""

ITEM_WORDS: dict[str, str] = {
    "item": _ITEM_WORDS,
    "title": "title name titel titulo titre titolo nombre nom nome naam navn bezeichnung product_name productname"
    " item_name movie_title book_title item_title название 名前 タイトル 标题 名称 제목",
    "title_english": "title_english english_title english_name name_english englishname title_en name_en",
    "kind": "kind type format media_type item_type art tipo",
    "year": "year release_year published_year publication_year original_publication_year startyear year_of_publication"
    " release jahr erscheinungsjahr ano anio annee anno jaar год 年",
    "genres": "genres genre category categories tags tag subjects shelves themes theme keywords kategorie kategorien"
    " genero generos categoria categorias rubrik categorie genere жанр жанры ジャンル 类型 分类",
    "creators": "creators creator author authors director directors artist artists studio studios brand manufacturer"
    " developer writer book_author autor autoren autores auteur autore marke hersteller marca marque автор 著者 作者",
    "language": "language lang language_code sprache idioma langue lingua taal язык 言語 语言",
    "episodes": "episodes num_episodes episode_count folgen episodios",
    "members": "members ratings_count vote_count num_ratings n_ratings",
    "site_score": "score site_score average_rating avg_rating vote_average mean_rating",
    "synopsis": "synopsis description overview plot summary abstract blurb beschreibung descripcion resumen"
    " descrizione descricao sypnopsis описание あらすじ 描述",
    "image_url": "image_url image img img_url picture_url main_picture poster poster_url cover cover_url thumbnail bild"
    " bild_url imagen",
    "page_url": "page_url url link href web_url product_url item_url page product_link item_link",
    "is_adult": "is_adult adult nsfw",
}
"""What the columns of items are called, by their meaning: that of the column of `clean.items`."""

_WEAK: dict[str, str] = {
    "user": "session device basket order invoice profile cookie sitzung",
    "item": "title name titel description",
    "rating": "value wert valor valeur valore",
    "weight": "value wert",
}
_WEAK_SCORE = 4.0


def normalised(name: str) -> str:
    """Return a name in lower case with one underscore between its words, without accents: `orderDate` is order_date."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(sign))
    return re.sub(r"[\W_]+", "_", plain.casefold()).strip("_")


_LISTS = {
    id(table): {role: frozenset(map(normalised, words.split())) for role, words in table.items()}
    for table in (INTERACTION_WORDS, ITEM_WORDS, _WEAK)
}


def name_score(name: str, role: str, table: dict[str, str]) -> float:
    """Return how well the name of a column fits a meaning, from 0 to 11.

    Args:
        name: as in the header.
        role: a key of `table`.
        table: `INTERACTION_WORDS` or `ITEM_WORDS`.
    """
    plain = normalised(name)
    words = _LISTS[id(table)][role]
    parts = plain.split("_")
    is_id_role = role in ("user", "item")
    without_id = [part for part in parts if part not in _ID]
    if plain in words:
        return EXACT
    if is_id_role and "_".join(without_id) in words:
        return EXACT + 1
    if is_id_role and plain.endswith("id") and plain.removesuffix("id") in words:
        return EXACT + 1
    if role == "item" and table is ITEM_WORDS and plain in {"id", "_id", "key", "code"}:
        return EXACT - 1
    if words.intersection(parts):
        return _PART + (1 if is_id_role and len(without_id) < len(parts) else 0) - 0.1 * len(parts)
    return _WEAK_SCORE if _LISTS[id(_WEAK)].get(role, frozenset()).intersection(parts) else 0.0
